/**
 * The front's switches over HTTP, for tests that run it as a process: `GET` and `PUT /faults`, `POST /end-streams`, `POST /restart`.
 *
 * Loopback only, without keys: it belongs to whoever started the process.
 */
import { createServer, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { parseFaultSettings } from "./faults.ts";
import type { Front } from "./front.ts";

export interface Control {
  readonly port: number;
  stop(): Promise<void>;
}

export async function startControl(front: Front, port: number): Promise<Control> {
  const server = createServer((request, response) => {
    answer(front, request).then(
      (body) => response.writeHead(200, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`),
      (error: unknown) => response.writeHead(422).end(`${error instanceof Error ? error.message : String(error)}\n`),
    );
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    async stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function answer(front: Front, request: IncomingMessage): Promise<unknown> {
  switch (`${request.method} ${request.url}`) {
    case "GET /faults":
      break;
    case "PUT /faults":
      front.faults.set(parseFaultSettings(await bodyOf(request)));
      break;
    case "POST /end-streams":
      front.endStreams();
      break;
    case "POST /restart":
      await front.restart();
      break;
    default:
      throw new Error(`there is no ${request.method} ${request.url}`);
  }
  return front.faults.left();
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += String(chunk);
  return text;
}
