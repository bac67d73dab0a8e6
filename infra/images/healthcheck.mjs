// For containers: ends with 0 when a URL answers well, with 1 when it does not.
// `node infra/images/healthcheck.mjs http://127.0.0.1:7373/readyz`
const [url = ""] = process.argv.slice(2);
const answer = await fetch(url, { signal: AbortSignal.timeout(4000) }).catch((error) => ({ ok: false, error }));
if (!answer.ok) console.error(answer.error ?? (await answer.text()));
process.exitCode = answer.ok ? 0 : 1;
