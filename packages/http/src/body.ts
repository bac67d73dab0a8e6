/**
 * Bodies as they come: media type, UTF-8, JSON.
 */
import { isUtf8 } from "node:buffer";
import { HttpProblem } from "./problem.ts";

/** The media type of a `Content-Type` header without its parameters, in lower case. */
export function mediaType(contentType: string | undefined): string {
  return (contentType ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

/** The parsed body: a value for JSON types, a text for others and with `asText`. Undefined for an empty one. */
export function parseBody(bytes: Buffer, contentType: string | undefined, consumes: readonly string[], asText: boolean): unknown {
  const media = mediaType(contentType);
  if (bytes.length === 0) return undefined;
  if (!consumes.includes(media)) throw new HttpProblem("unsupported-media-type", `send ${consumes.join(" or ")}`);
  if (!isUtf8(bytes)) throw new HttpProblem("malformed-json", "the body is not UTF-8");
  const text = bytes.toString("utf8");
  return !asText && (media === "application/json" || media.endsWith("+json")) ? parseJson(text) : text;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // The engine's message may quote the body; the position is all that people need.
    const position = /position (\d+)/.exec(error instanceof Error ? error.message : "")?.[1];
    throw new HttpProblem(
      "malformed-json",
      position === undefined ? "the body ends too early or is no JSON" : `at character ${position}`,
    );
  }
}
