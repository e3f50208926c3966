// The requests that were sent and what came back, each to open.
import { React, UI, h } from "./host.js";
import { bytes, Copy, Pre } from "./parts.js";
import { pretty } from "./pretty.js";
import { When } from "./time.js";

const { useId, useState } = React;

const palette = (code) => (!code ? "failed" : code < 300 ? "success" : code < 400 ? "info" : code === 429 ? "warning" : "failed");

// A poll that is folded into the one before it keeps its row, so that an open row stays open.
const keyOf = ({ first_started_at: first, started_at: started, purpose, step }) => `${first ?? started} ${purpose} ${step}`;

export function Exchanges({ exchanges, leftOut }) {
  return h(
    UI.Stack,
    { as: "ol", gap: 0, borderWidth: 1, borderRadius: "lg", borderColor: "border.emphasized", overflow: "hidden", listStyleType: "none" },
    leftOut > 0 &&
      h(
        UI.Text,
        { as: "li", px: 3, py: 2, fontSize: "sm", color: "fg.muted", borderBottomWidth: 1 },
        `${leftOut} more were not kept: the ones that saw nothing new.`,
      ),
    exchanges.map((exchange) => h(Exchange, { key: keyOf(exchange), exchange })),
  );
}

function Exchange({ exchange }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const { purpose, step, method, url, code, fault, count, elapsed } = exchange;
  const title = [
    h(UI.Text, { key: "arrow", as: "span", "aria-hidden": true, color: "fg.muted", transform: open ? "rotate(90deg)" : undefined }, "›"),
    h(UI.Badge, { key: "code", colorPalette: palette(code), variant: "subtle", minW: 10, justifyContent: "center" }, code ?? "none"),
    h(UI.Text, { key: "purpose", as: "span", fontWeight: "semibold", whiteSpace: "nowrap" }, step ? `${purpose} · ${step}` : purpose),
    h(UI.Text, { key: "line", as: "span", fontFamily: "mono", fontSize: "xs", flex: 1, minW: 0, truncate: true, title: url }, `${method} ${url}`),
    count > 1 && h(UI.Badge, { key: "count", variant: "outline" }, `${count} times, unchanged`),
    h(
      UI.Text,
      { key: "when", as: "span", fontSize: "xs", color: "fg.muted", whiteSpace: "nowrap", display: { base: "none", md: "inline" } },
      `${Math.round(elapsed * 1000)} ms · `,
      h(When, { at: exchange.started }),
    ),
  ];
  return h(
    UI.Box,
    { as: "li", borderTopWidth: 1, _first: { borderTopWidth: 0 } },
    h(
      UI.chakra.button,
      {
        type: "button",
        "aria-expanded": open,
        "aria-controls": id,
        onClick: () => setOpen(!open),
        display: "flex", alignItems: "center", gap: 3, width: "full", px: 3, py: 2, fontSize: "sm", textAlign: "start", cursor: "pointer",
        _hover: { bg: "bg.subtle" },
        _focusVisible: { outline: "2px solid", outlineColor: "brand.focusRing", outlineOffset: "-2px" },
      },
      title,
    ),
    open &&
      h(
        UI.Stack,
        { id, gap: 3, px: 3, pb: 4, pt: 1 },
        fault && h(UI.Text, { color: "failed.fg", fontSize: "sm" }, [fault, exchange.detail].filter(Boolean).join(": ")),
        h(UI.Grid, { gap: 4, gridTemplateColumns: { base: "minmax(0, 1fr)", lg: "repeat(2, minmax(0, 1fr))" } }, h(Request, { exchange }), h(Response, { exchange })),
      ),
  );
}

function Request({ exchange }) {
  const { method, url, request_headers: headers, request_bytes: size, request_shape: shape, curl } = exchange;
  return h(
    Side,
    { title: "Request", note: size ? bytes(size) : "no body", action: curl && h(Copy, { text: curl, label: "Copy as curl", what: "as curl" }) },
    h(Pre, { label: "Request" }, [`${method} ${url}`, ...lines(headers)].join("\n")),
    shape !== null &&
      shape !== undefined &&
      h(
        React.Fragment,
        null,
        h(UI.Text, { fontSize: "xs", color: "fg.muted" }, "The body by its shape; values are not kept."),
        h(Pre, { label: "Shape of the request's body" }, typeof shape === "string" ? shape : JSON.stringify(shape, null, 2)),
      ),
  );
}

function Response({ exchange }) {
  const { code, response_headers: headers, response_bytes: size, response } = exchange;
  if (!code) return h(Side, { title: "Response" }, h(UI.Text, { fontSize: "sm", color: "fg.muted" }, "No answer came."));
  return h(
    Side,
    { title: "Response", note: bytes(size), action: response && h(Copy, { text: response, label: "Copy body", what: "the body" }) },
    h(Pre, { label: "Response" }, [`HTTP ${code}`, ...lines(headers)].join("\n")),
    response
      ? h(Pre, { label: "Body of the response" }, pretty(response))
      : h(UI.Text, { fontSize: "xs", color: "fg.muted" }, size ? "The body is not kept." : "No body."),
  );
}

const lines = (headers) => Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}`);

function Side({ title, note, action, children }) {
  return h(
    UI.Stack,
    { gap: 2, minW: 0 },
    h(
      UI.HStack,
      { minH: 6 },
      h(UI.Text, { fontWeight: "semibold", fontSize: "sm" }, title),
      note && h(UI.Text, { fontSize: "xs", color: "fg.muted" }, note),
      h(UI.Spacer),
      action,
    ),
    children,
  );
}
