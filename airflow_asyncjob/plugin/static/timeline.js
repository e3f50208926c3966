// The picture of the polls: a band of the states over time, and a mark for each poll.
import { React, UI, h } from "./host.js";
import { colourOf, OPEN, StateBadge, wordOf } from "./states.js";
import { seconds, span, useClock, useNow } from "./time.js";
import { plain } from "./parts.js";

const { useLayoutEffect, useRef, useState } = React;
const HEIGHT = 64;
const MARGIN = 8;

function useWidth() {
  const box = useRef(null);
  const [width, setWidth] = useState(600);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.max(160, Math.round(entry.contentRect.width))));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  return [box, width];
}

const failed = (poll) => poll.state === null || poll.state === "error" || poll.code === 0 || poll.code >= 400;
const stateOf = (poll) => (failed(poll) ? "error" : poll.state);

function words(poll, clock) {
  const raw = poll.raw_status === null ? "no status" : plain(poll.raw_status);
  return `${clock(seconds(poll.at))} · ${raw} · ${failed(poll) ? "poll failed" : wordOf(poll.state)} · ${poll.code || "no answer"}`;
}

export function Timeline({ polls, job }) {
  const [box, width] = useWidth();
  const clock = useClock();
  const time = useNow();
  const times = polls.map((poll) => seconds(poll.at));
  const waits = OPEN.has(job.state);
  const first = Math.min(seconds(job.submitted_at) ?? times[0], times[0]);
  const next = waits ? seconds(job.next_poll_at) : null;
  const last = Math.max(times.at(-1), waits ? time : (seconds(job.ended_at) ?? 0), next ?? 0, first + 1);
  const x = (at) => MARGIN + ((at - first) / (last - first)) * (width - 2 * MARGIN);
  const ends = [...times.slice(1), waits ? time : times.at(-1)];
  const states = [...new Set(polls.map(stateOf))];
  // Many polls are small dots, so that they do not cover one another; failed ones are drawn last, on top.
  const radius = Math.max(1.5, Math.min(5, (width - 2 * MARGIN) / polls.length / 2));
  const drawn = [...polls.keys()].sort((one, other) => failed(polls[one]) - failed(polls[other]));
  const summary = `${polls.length} polls in ${span(last - first)}; the last: ${words(polls.at(-1), clock)}`;
  return h(
    UI.Box,
    { ref: box },
    h(
      "svg",
      { role: "img", "aria-label": summary, width: "100%", height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` },
      h("rect", { x: MARGIN, y: 26, width: width - 2 * MARGIN, height: 12, rx: 3, fill: "var(--chakra-colors-bg-emphasized)" }),
      polls.map((poll, index) => {
        const from = index ? x(times[index]) : x(first);
        return h("rect", {
          key: index, x: from, y: 26, width: Math.max(0, x(ends[index]) - from), height: 12, fill: colourOf(stateOf(poll)), opacity: 0.35,
        });
      }),
      drawn.map((index) =>
        h(
          "circle",
          {
            key: index, cx: x(times[index]), cy: 32, r: failed(polls[index]) ? Math.max(4, radius + 1) : radius,
            fill: colourOf(stateOf(polls[index])), stroke: "var(--chakra-colors-bg)", strokeWidth: radius / 4,
          },
          h("title", null, words(polls[index], clock)),
        ),
      ),
      waits && h(Line, { x: x(time), label: "now", end: x(time) > width / 2 }),
      next && next > time + 1 && h(Line, { x: x(next), label: "next poll", dashed: true, end: true, below: true }),
    ),
    h(
      UI.HStack,
      { justifyContent: "space-between", fontSize: "xs", color: "fg.muted", flexWrap: "wrap", gap: 2 },
      h("span", null, clock(first)),
      h(UI.HStack, { gap: 2 }, states.map((state) => h(StateBadge, { key: state, state, size: "xs" }, state === "error" && "poll failed"))),
      h("span", null, clock(last)),
    ),
  );
}

function Line({ x, label, dashed = false, end = false, below = false }) {
  const colour = "var(--chakra-colors-fg-muted)";
  return h(
    "g",
    { "aria-hidden": true },
    h("line", { x1: x, x2: x, y1: 16, y2: 48, stroke: colour, strokeDasharray: dashed ? "3 3" : undefined }),
    h("text", { x: x + (end ? -4 : 4), y: below ? 58 : 14, style: { fontSize: 11 }, fill: colour, textAnchor: end ? "end" : "start" }, label),
  );
}
