/**
 * A topic that is a view of the log: one group's scan of the streams that the topic is published from.
 *
 * One scan feeds all partitions; an offset is the position of the event in the log. Several messages of one event share
 * its offset. Nothing is stored but where the group goes on, and events that publish nothing move that on, too.
 */
import type { Feed, FeedHost } from "./feed.ts";
import type { LogReader, LogTopic, ReceivedMessage } from "./port.ts";

export interface LogTopicOptions extends LogTopic {
  readonly partitions: number;
}

export interface LogView extends Feed {
  /** The log has grown. */
  appended(): void;
  /** So many messages wait that those who append to the log should let their consumers catch up. */
  crowded(): boolean;
  /** Everything that the topic's inputs before this time made it publish is in the log by now. */
  mark(readUpTo: string): void;
}

/** Events per page of the scan. */
const PAGE = 1_000;
/** The scan runs ahead of the consumers, so that it finds the log's newest events in memory; it stops at so many waiting messages. */
const MAX_WAITING = 2_000;
/** From so many on, what feeds the log gives way. */
const CROWDED = 1_000;
/** More marks than this are not kept apart: a later one then stands for several. */
const MAX_MARKS = 64;

/** `next`: where each partition goes on; `log` positions must be decimal numbers, as those of the local event stores are. */
export function createLogView(topic: LogTopicOptions, log: LogReader, next: readonly number[], host: FeedHost): LogView {
  const { partitions } = topic;
  const queues = Array.from({ length: partitions }, () => createQueue());
  const resumed = Array.from({ length: partitions }, (_, partition) => next[partition] ?? 0);
  const marks: { readUpTo: string; readonly upTo: number }[] = [];
  const scan = {
    /** The last position scanned; 0 is before the first. */
    at: Math.max(0, Math.min(...resumed) - 1),
    running: false,
    /** The end of the log has been reached, and nothing was appended since. */
    atEnd: false,
    closed: false,
  };
  let latestMark: string | undefined;

  function waiting(): number {
    return queues.reduce((sum, queue) => sum + queue.length(), 0);
  }

  function wanted(): boolean {
    return !scan.closed && !scan.atEnd && waiting() < MAX_WAITING;
  }

  /** Starts a scan soon, if there is room and the log goes on. */
  function request(): void {
    if (scan.running || !wanted()) return;
    scan.running = true;
    host.defer(() => {
      run().catch(host.fail);
    }, 0);
  }

  async function run(): Promise<void> {
    while (wanted()) {
      scan.atEnd = true; // until `appended` says otherwise
      const marked = latestMark;
      const page = await log.readAll({
        after: scan.at === 0 ? undefined : String(scan.at),
        prefixes: [topic.streamPrefix],
        maxCount: PAGE,
      });
      if (scan.closed) return;
      if (!page.end) scan.atEnd = false;
      distribute(page.events);
      if (page.next !== undefined && Number(page.next) > scan.at) {
        scan.at = Number(page.next);
        host.moved();
      }
      // A mark said during the read holds only if nothing was appended meanwhile that the read may have missed.
      const mark = scan.atEnd ? latestMark : marked;
      if (page.end && mark !== undefined) remember(mark);
      for (const [partition, queue] of queues.entries()) if (queue.length() > 0) host.wake(topic.topic, partition);
    }
    scan.running = false;
  }

  function distribute(events: Awaited<ReturnType<LogReader["readAll"]>>["events"]): void {
    for (const event of events) {
      const offset = Number(event.position);
      for (const { key, shard, body } of topic.messagesOf(event)) {
        const partition = shard % partitions;
        if (offset < (resumed[partition] ?? 0)) continue;
        queues[partition]?.push({ topic: topic.topic, partition, offset, key, content: { kind: "body", body } });
      }
    }
  }

  /** A mark holds for everything up to where the scan stands now, at the end of the log. */
  function remember(readUpTo: string): void {
    const last = marks.at(-1);
    if (last !== undefined && last.readUpTo >= readUpTo) return;
    if (last !== undefined && last.upTo === scan.at) last.readUpTo = readUpTo;
    else if (marks.length >= MAX_MARKS) marks.splice(-1, 1, { readUpTo, upTo: scan.at });
    else marks.push({ readUpTo, upTo: scan.at });
  }

  function position(partition: number): number {
    return queues[partition]?.first()?.offset ?? Math.max(scan.at + 1, resumed[partition] ?? 0);
  }

  request();

  return {
    topic: topic.topic,
    partitions,
    peek(partition, maxCount) {
      request();
      return queues[partition]?.peek(maxCount) ?? [];
    },
    passed(partition, messages) {
      queues[partition]?.drop(messages.length);
    },
    position,
    readUpTo(owned, progress) {
      const lowest = Math.min(...owned.filter((partition) => partition < partitions).map(position));
      const passed = marks.findLast((mark) => mark.upTo < lowest);
      if (passed !== undefined) {
        progress.readUpTo = passed.readUpTo;
        const everywhere = Math.min(...queues.map((_, partition) => position(partition)));
        // The newest mark that all partitions have passed stays: another member may not have asked yet.
        marks.splice(
          0,
          marks.findLastIndex((mark) => mark.upTo < everywhere),
        );
      }
      return progress.readUpTo;
    },
    async lag() {
      const lags = queues.map((queue) => queue.length());
      if (!scan.atEnd || scan.running)
        (await countAhead(topic, log, scan.at, resumed)).forEach(
          (count, partition) => (lags[partition] = (lags[partition] ?? 0) + count),
        );
      return lags;
    },
    appended() {
      scan.atEnd = false;
      request();
    },
    crowded: () => waiting() >= CROWDED,
    mark(readUpTo) {
      if (latestMark !== undefined && latestMark >= readUpTo) return;
      latestMark = readUpTo;
      if (scan.atEnd && !scan.running) remember(readUpTo);
      else request();
    },
    close() {
      scan.closed = true;
    },
  };
}

/** Messages per partition that the log publishes after a position. Counts at most 20 pages, so a very long lag shows as less. */
export async function countAhead(
  topic: LogTopicOptions,
  log: LogReader,
  after: number,
  resumed: readonly number[],
): Promise<number[]> {
  const counts = Array.from({ length: topic.partitions }, () => 0);
  let position = after === 0 ? undefined : String(after);
  for (let pages = 0; pages < 20; pages++) {
    const page = await log.readAll({ after: position, prefixes: [topic.streamPrefix], maxCount: PAGE });
    for (const event of page.events) {
      for (const { shard } of topic.messagesOf(event)) {
        const partition = shard % topic.partitions;
        if (Number(event.position) >= (resumed[partition] ?? 0)) counts[partition] = (counts[partition] ?? 0) + 1;
      }
    }
    if (page.end) break;
    position = page.next;
  }
  return counts;
}

/** First in, first out, without moving the rest on every step. */
function createQueue() {
  let items: ReceivedMessage[] = [];
  let head = 0;
  return {
    length: () => items.length - head,
    first: () => items[head],
    push: (item: ReceivedMessage) => {
      items.push(item);
    },
    peek: (maxCount: number) => items.slice(head, head + maxCount),
    drop(count: number) {
      head += count;
      if (head * 2 < items.length) return;
      items = items.slice(head);
      head = 0;
    },
  };
}
