// What the page "Async jobs" is asked for; all of it is in the address of the page.
import { React, Router, UI, h } from "./host.js";
import { number } from "./parts.js";
import { wordOf } from "./states.js";

const { useEffect, useRef, useState } = React;
export const PAGE = 50;
const HOUR = 3600;
const AGES = {
  "-1h": ["last hour", { max_age: HOUR }],
  "-1d": ["last 24 hours", { max_age: 24 * HOUR }],
  "-7d": ["last 7 days", { max_age: 7 * 24 * HOUR }],
  "1h": ["older than an hour", { min_age: HOUR }],
  "1d": ["older than a day", { min_age: 24 * HOUR }],
};
const FACETS = { state: "State", conn_id: "Connection", dag_id: "DAG", definition: "Definition" };
const OWN = [...Object.keys(FACETS), "q", "age", "waiting", "order", "offset"];

/** The filters in the page's address: their values, the parameters of the route, and how to change them. */
export function useFilters() {
  const [search, setSearch] = Router.useSearchParams();
  const values = Object.fromEntries(OWN.map((name) => [name, search.get(name) ?? ""]));
  const change = (changes) =>
    setSearch(
      (old) => {
        const next = new URLSearchParams(old);
        for (const [name, value] of Object.entries({ offset: "", ...changes })) {
          if (value) next.set(name, value);
          else next.delete(name);
        }
        return next;
      },
      { replace: true },
    );
  const { age, offset, ...rest } = values;
  const from = Math.max(0, Number.parseInt(offset, 10) || 0);
  const params = { ...rest, ...AGES[age]?.[1], limit: PAGE, offset: from };
  const filtered = OWN.some((name) => values[name] && !["order", "offset"].includes(name));
  return { values, from, params, change, filtered, clear: () => change(Object.fromEntries(OWN.map((name) => [name, ""]))) };
}

export function FilterBar({ filters, facets }) {
  const { values, change, filtered, clear } = filters;
  return h(
    UI.Flex,
    { as: "form", role: "search", "aria-label": "Filter the jobs", gap: 3, flexWrap: "wrap", alignItems: "end", onSubmit: (event) => event.preventDefault() },
    h(Search, { value: values.q, change: (q) => change({ q }) }),
    Object.entries(FACETS).map(([name, label]) =>
      h(Choice, { key: name, label, value: values[name], change: (value) => change({ [name]: value }), options: choices(facets?.[name], values[name], name) }),
    ),
    h(Choice, { label: "Submitted", value: values.age, change: (age) => change({ age }), options: Object.entries(AGES).map(([key, [word]]) => [key, word]) }),
    h(Choice, {
      label: "Show", value: values.waiting, change: (waiting) => change({ waiting }), all: "all jobs", options: [["true", "only going on"]],
    }),
    h(Choice, { label: "Order", value: values.order, change: (order) => change({ order }), all: "trouble first", options: [["-updated", "newest first"]] }),
    filtered && h(UI.Button, { size: "sm", variant: "ghost", onClick: clear }, "Clear filters"),
  );
}

function choices(counts, chosen, name) {
  const word = (value) => (name === "state" ? wordOf(value) : value || "none");
  const all = { ...(chosen && { [chosen]: 0 }), ...counts };
  // An empty name cannot be asked for: an empty value means all.
  return Object.entries(all).filter(([value]) => value).map(([value, count]) => [value, `${word(value)} (${number(count)})`]);
}

function Choice({ label, value, change, options, all = "all" }) {
  return h(
    Labelled,
    { label, width: { base: "calc(50% - 6px)", sm: 36 } },
    h(
      UI.NativeSelectRoot,
      { size: "sm" },
      h(
        UI.NativeSelectField,
        { value, onChange: (event) => change(event.target.value), "aria-label": label },
        h("option", { value: "" }, all),
        options.map(([key, word]) => h("option", { key, value: key }, word)),
      ),
      h(UI.NativeSelectIndicator),
    ),
  );
}

function Labelled({ label, children, ...rest }) {
  return h(UI.Box, rest, h(UI.Text, { fontSize: "xs", color: "fg.muted", mb: 1, "aria-hidden": true }, label), children);
}

function Search({ value, change }) {
  const [text, setText] = useState(value);
  const timer = useRef();
  useEffect(() => setText(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (next, wait) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => change(next.trim()), wait);
  };
  return h(
    Labelled,
    { label: "Search", flex: "1 1 200px", maxW: { sm: 80 } },
    h(UI.Input, {
      size: "sm", type: "search", value: text, placeholder: "ID, DAG, task, message", "aria-label": "Search",
      onChange: (event) => type(event.target.value, 300),
      onKeyDown: (event) => {
        if (event.key === "Enter") type(text, 0);
        if (event.key === "Escape") type("", 0);
      },
    }),
  );
}
