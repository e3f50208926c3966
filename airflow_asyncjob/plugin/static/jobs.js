// The page "Async jobs".
import { React, Router, UI, h } from "./host.js";
import { JobButtons } from "./actions.js";
import { FilterBar, PAGE, useFilters } from "./filters.js";
import { address, usePolled } from "./net.js";
import { Empty, Loading, Notice, number, plain, Problem } from "./parts.js";
import { OPEN, StateBadge } from "./states.js";
import { NextPoll, Waited } from "./task.js";
import { When } from "./time.js";

const { useState } = React;
const EVERY = 5; // seconds
const WIDE = { base: "none", lg: "table-cell" };

export function JobsPage() {
  const filters = useFilters();
  const { data, problem, of, again } = usePolled(address("jobs", filters.params), () => EVERY);
  const [said, tell] = useState(null);
  const stale = of !== null && of !== address("jobs", filters.params);
  return h(
    UI.Stack,
    { gap: 4, p: 2, pb: 8, "data-testid": "asyncjob-jobs" },
    h(
      UI.HStack,
      { alignItems: "baseline" },
      h(UI.Heading, { as: "h1", size: "md" }, "Async jobs"),
      data && h(UI.Text, { fontSize: "sm", color: "fg.muted", role: "status" }, count(data.total, filters.filtered)),
    ),
    h(FilterBar, { filters, facets: data?.facets }),
    problem && h(Problem, { problem, again }),
    said && h(Notice, { status: said.status }, said.text),
    data
      ? h(UI.Box, { opacity: stale ? 0.5 : 1, "aria-busy": stale }, h(Table, { data, filters, tell, again }))
      : !problem && h(Loading, { lines: 8 }),
  );
}

const count = (total, filtered) => `${number(total)} ${total === 1 ? "job" : "jobs"}${filtered ? " found" : ""}`;

function Table({ data, filters, tell, again }) {
  if (data.items.length === 0) return h(None, { filters, total: data.total });
  const buttons = data.items.some(waits);
  return h(
    React.Fragment,
    null,
    h(
      UI.TableScrollArea,
      { borderWidth: 1, borderRadius: "lg", borderColor: "border.emphasized" },
      h(
        UI.TableRoot,
        { size: "sm", interactive: true, "aria-label": "Async jobs" },
        h(
          UI.TableHeader,
          null,
          h(
            UI.TableRow,
            { bg: "bg.subtle" },
            h(UI.TableColumnHeader, null, "State"),
            h(UI.TableColumnHeader, null, "Job"),
            h(UI.TableColumnHeader, null, "Task"),
            h(UI.TableColumnHeader, { display: WIDE }, "Submitted"),
            h(UI.TableColumnHeader, { display: WIDE }, "Waited"),
            h(UI.TableColumnHeader, null, "Next poll"),
            h(UI.TableColumnHeader, { display: WIDE, textAlign: "end" }, "Polls"),
            buttons && h(UI.TableColumnHeader, null, h(UI.VisuallyHidden, null, "Actions")),
          ),
        ),
        h(UI.TableBody, null, data.items.map((job) => h(Row, { key: job.url, job, buttons, tell, again }))),
      ),
    ),
    h(Pager, { total: data.total, filters }),
  );
}

const waits = (job) => job.task_state === "deferred" && OPEN.has(job.state);

function Row({ job, buttons, tell, again }) {
  const navigate = Router.useNavigate();
  const open = (event) => {
    // A click into the row is for the mouse; the link in it is for everyone else, and for a new tab.
    if (!event.target.closest("a, button") && !String(getSelection())) navigate(job.url);
  };
  const where = job.map_index >= 0 ? `${job.task_id} [${job.map_index}]` : job.task_id;
  return h(
    UI.TableRow,
    { onClick: open, cursor: "pointer", verticalAlign: "top" },
    h(
      UI.TableCell,
      null,
      h(StateBadge, { state: job.state }),
      job.raw_status !== null && h(Small, { fontFamily: "mono" }, plain(job.raw_status)),
    ),
    h(
      UI.TableCell,
      { maxW: 96, minW: 48 },
      h(
        UI.Link,
        { asChild: true, fontWeight: "semibold", color: "fg.info", overflowWrap: "anywhere", whiteSpace: "normal" },
        h(Router.Link, { to: job.url }, job.submission_id ?? "not submitted yet"),
      ),
      h(Small, null, [job.definition, job.conn_id].filter(Boolean).join(" · ")),
      job.trouble
        ? h(UI.Text, { fontSize: "xs", color: "failed.fg", whiteSpace: "normal", overflowWrap: "anywhere" }, job.trouble)
        : job.message && h(Small, { truncate: true, title: plain(job.message) }, plain(job.message)),
    ),
    h(UI.TableCell, { minW: 36, maxW: 72 }, h(UI.Text, { overflowWrap: "anywhere" }, job.dag_id), h(Small, { overflowWrap: "anywhere", title: job.run_id }, where)),
    h(UI.TableCell, { display: WIDE, whiteSpace: "nowrap" }, h(When, { at: job.submitted_at })),
    h(UI.TableCell, { display: WIDE, whiteSpace: "nowrap" }, h(Waited, { job })),
    h(UI.TableCell, { whiteSpace: "nowrap" }, waits(job) ? h(NextPoll, { job }) : "–"),
    h(UI.TableCell, { display: WIDE, textAlign: "end" }, number(job.polls), job.failed_polls > 0 && h(Small, { color: "failed.fg" }, `${number(job.failed_polls)} failed`)),
    buttons && h(UI.TableCell, { textAlign: "end" }, waits(job) && h(JobButtons, { job, tell, again })),
  );
}

function Small({ children, ...rest }) {
  return h(UI.Text, { fontSize: "xs", color: "fg.muted", ...rest }, children);
}

function None({ filters, total }) {
  if (filters.from > 0 && total > 0) {
    return h(Empty, { title: "This page is empty" }, h(UI.Button, { size: "sm", onClick: () => filters.change({}) }, "To the first page"));
  }
  if (filters.filtered) return h(Empty, { title: "No job matches these filters" }, h(UI.Button, { size: "sm", onClick: filters.clear }, "Clear filters"));
  return h(Empty, { title: "No jobs yet" }, "Jobs of all DAGs that you may see appear here as soon as their tasks run.");
}

function Pager({ total, filters }) {
  const { from, change } = filters;
  if (total <= PAGE && from === 0) return null;
  const to = Math.min(total, from + PAGE);
  const step = (offset) => change({ offset: offset > 0 ? String(offset) : "" });
  return h(
    UI.HStack,
    { as: "nav", "aria-label": "Pages", mt: 3, justifyContent: "end", gap: 3 },
    h(UI.Text, { fontSize: "sm", color: "fg.muted" }, `${number(from + 1)} to ${number(to)} of ${number(total)}`),
    h(UI.Button, { size: "sm", variant: "outline", disabled: from === 0, onClick: () => step(from - PAGE) }, "Previous"),
    h(UI.Button, { size: "sm", variant: "outline", disabled: to >= total, onClick: () => step(from + PAGE) }, "Next"),
  );
}
