// Questions to the routes of the plugin.
import { React } from "./host.js";

const { useCallback, useEffect, useRef, useState } = React;

// A clock of a browser may be wrong; countdowns are by that of the server.
let skew = 0;
export const now = () => Date.now() / 1000 + skew;

export class Refused extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

const REASONS = {
  401: "Your login has ended. Log in to Airflow again.",
  403: "You are not allowed to see this. Ask an administrator for access to the DAG.",
  404: "There is no such task instance.",
};

/** Address of a route, below whatever path Airflow itself has. */
export function address(path, params = {}) {
  const url = new URL(`asyncjob/api/${path}`, document.baseURI);
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.append(name, value);
  }
  return url.href;
}

/** Ask a route. The error of an answer that is none has its sentence for people in `message`. */
export async function ask(url, { body, signal } = {}) {
  let answer;
  try {
    answer = await fetch(url, {
      method: body ? "POST" : "GET",
      headers: { Accept: "application/json", ...(body && { "Content-Type": "application/json" }) },
      body: body && JSON.stringify(body),
      credentials: "same-origin",
      signal,
    });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Refused(0, "Airflow does not answer.");
  }
  noteClock(answer.headers.get("Date"));
  const text = await answer.text();
  let content = null;
  try {
    content = JSON.parse(text);
  } catch {
    // Told below: an answer of these routes is JSON, whatever its code.
  }
  if (answer.ok && content !== null) return content;
  const said = typeof content?.detail === "string" ? content.detail : "";
  const usual = body && answer.status === 403 ? "You are not allowed to change tasks of this DAG." : REASONS[answer.status];
  throw new Refused(answer.status, usual ?? (said || `Airflow answered with ${answer.status} ${answer.statusText}.`));
}

function noteClock(date) {
  const difference = Date.parse(date ?? "") / 1000 - Date.now() / 1000;
  // The header is in whole seconds, and the answer took a moment.
  if (!Number.isNaN(difference)) skew = Math.abs(difference) < 3 ? 0 : difference;
}

/**
 * Ask again and again while the page is visible.
 *
 * `pace(data)` gives the seconds to the next time. Data stay over an error and a change of the address;
 * `of` is the address that they came from. After errors the pause doubles, up to eight times.
 */
export function usePolled(url, pace) {
  const [answer, setAnswer] = useState({ data: undefined, problem: null, of: null });
  const latest = useRef(pace);
  latest.current = pace;
  const run = useRef(() => {});
  useEffect(() => {
    let timer;
    let controller;
    let failures = 0;
    let ended = false;
    const look = async () => {
      clearTimeout(timer);
      controller?.abort();
      if (ended || document.hidden) return;
      const mine = (controller = new AbortController());
      let data;
      try {
        data = await ask(url, { signal: mine.signal });
        if (mine.signal.aborted) return;
        failures = 0;
        setAnswer({ data, problem: null, of: url });
      } catch (problem) {
        if (mine.signal.aborted) return;
        failures += 1;
        setAnswer((old) => ({ ...old, problem }));
      }
      timer = setTimeout(look, latest.current(data) * 1000 * 2 ** Math.min(failures, 3));
    };
    run.current = look;
    look();
    document.addEventListener("visibilitychange", look);
    return () => {
      ended = true;
      clearTimeout(timer);
      controller?.abort();
      document.removeEventListener("visibilitychange", look);
    };
  }, [url]);
  return { ...answer, again: useCallback(() => run.current(), []) };
}
