// The tab "Async job" of a task instance.
import { React, Router, UI, h } from "./host.js";
import { JobButtons } from "./actions.js";
import { Exchanges } from "./exchanges.js";
import { address, usePolled } from "./net.js";
import { bytes, Card, Copy, Empty, Fact, Facts, Loading, Notice, number, plain, Pre, Problem, Section, webAddress } from "./parts.js";
import { OPEN, StateBadge } from "./states.js";
import { seconds, span, useNow, When } from "./time.js";
import { Timeline } from "./timeline.js";

const { useState } = React;
const LIVE = 3; // seconds between two looks at a job that goes on
const QUIET = 20;

export function TaskTab({ dagId, runId, taskId, mapIndex }) {
  const parsed = Number(mapIndex ?? -1);
  const place = { dag_id: dagId, run_id: runId, task_id: taskId, map_index: Number.isInteger(parsed) ? parsed : -1 };
  const url = address("task", place);
  return h(Tab, { key: url, url });
}

const goesOn = (found) => OPEN.has(own(found?.job)?.state) || (found?.ours && !found.job);

function Tab({ url }) {
  const { data, problem, again } = usePolled(url, (found) => (goesOn(found) ? LIVE : QUIET));
  const [said, tell] = useState(null);
  return h(
    UI.Stack,
    { gap: 5, p: 2, pb: 8, "data-testid": "asyncjob-task" },
    problem && h(Problem, { problem, again }),
    said && h(Notice, { status: said.status }, said.text),
    data ? h(Found, { found: data, tell, again }) : !problem && h(Loading, { lines: 5 }),
  );
}

/** A submit that is over has handed its job on, and knows no more of it: here it has ended. */
function own(job) {
  const handedOn = job?.kind === "submit" && job.state === "running" && job.task_state === "success";
  return handedOn ? { ...job, state: "submitted", ended_at: job.updated_at } : job;
}

function Found({ found, tell, again }) {
  const job = own(found.job);
  if (!found.ours) {
    return h(
      Empty,
      { title: "No job here" },
      "This tab shows the remote job of tasks that submit one, wait for one, or download its result. This task does none of these.",
    );
  }
  if (!job) return h(Empty, { title: "No job yet" }, "It appears as soon as this task has talked to the API.");
  return h(
    React.Fragment,
    null,
    h(Top, { job, tell, again }),
    job.trouble && h(Notice, { status: OPEN.has(job.state) ? "warning" : "error" }, job.trouble),
    h(Card, null, h(JobFacts, { job })),
    h(Progress, { progress: job.progress }),
    job.message && h(Section, { title: "Message of the API" }, h(Pre, { label: "Message of the API" }, plain(job.message))),
    found.polls.length > 0 && h(Section, { title: "Polls" }, h(Card, null, h(Timeline, { polls: found.polls, job }))),
    found.summary?.download && h(Download, { download: found.summary.download }),
    found.preview && h(Preview, { preview: found.preview }),
    h(
      Section,
      { title: "Exchanges", note: "Secrets are removed; of bodies only what the API says of the job is kept." },
      found.exchanges.length
        ? h(Exchanges, { exchanges: found.exchanges, leftOut: found.left_out })
        : h(UI.Text, { fontSize: "sm", color: "fg.muted" }, "None yet."),
    ),
    found.before.length > 0 && h(Earlier, { jobs: found.before }),
    found.related.length > 0 && h(Related, { related: found.related }),
  );
}

const PHASES = { submit: "submits the job", wait: "waits for the job", fetch: "downloads the result" };

function Top({ job, tell, again }) {
  const remote = webAddress(job.remote_url);
  return h(
    UI.Flex,
    { gap: 3, alignItems: "center", flexWrap: "wrap" },
    h(StateBadge, { state: job.state, size: "lg" }),
    job.raw_status !== null && h(UI.Text, { fontSize: "sm" }, "The API says ", h(UI.Code, null, plain(job.raw_status))),
    h(UI.Text, { fontSize: "sm", color: "fg.muted" }, [job.definition, PHASES[job.kind]].filter(Boolean).join(" · ")),
    h(UI.Spacer),
    remote && h(UI.Link, { href: remote, target: "_blank", rel: "noopener noreferrer", fontSize: "sm" }, "Job at the remote ↗"),
    OPEN.has(job.state) && job.kind !== "fetch" && h(JobButtons, { job, tell, again }),
  );
}

function JobFacts({ job }) {
  const waits = OPEN.has(job.state);
  return h(
    Facts,
    null,
    h(
      Fact,
      { name: "Submission ID" },
      job.submission_id
        ? h(UI.HStack, { gap: 2 }, h(UI.Text, { as: "span", fontFamily: "mono", fontSize: "xs" }, job.submission_id), h(Copy, { text: job.submission_id, what: "the submission ID" }))
        : "–",
    ),
    h(Fact, { name: "Connection" }, job.conn_id || "–"),
    h(Fact, { name: "Submitted" }, h(When, { at: job.submitted_at, both: true })),
    job.state !== "submitted" && h(Fact, { name: waits ? "Waiting for" : "Waited" }, h(Waited, { job })),
    waits && h(Fact, { name: "Next poll" }, h(NextPoll, { job, both: true })),
    waits && h(Fact, { name: "Deadline" }, h(When, { at: job.deadline, both: true })),
    !waits && h(Fact, { name: job.state === "submitted" ? "Handed on" : "Ended" }, h(When, { at: job.ended_at, both: true })),
    job.state !== "submitted" && h(Fact, { name: "Polls" }, polls(job)),
  );
}

function polls(job) {
  const failing = job.failed_polls ? `, the last ${number(job.failed_polls)} failed` : "";
  return number(job.polls) + failing + (job.unknown ? `, ${number(job.unknown)} with an unknown status` : "");
}

export function Waited({ job }) {
  const time = useNow();
  const since = seconds(job.submitted_at);
  return span(OPEN.has(job.state) && since !== null ? time - since : job.waited);
}

export function NextPoll({ job, both = false }) {
  const time = useNow();
  if (job.late > 0) return h(UI.Text, { as: "span", color: "failed.fg" }, `late by ${span(job.late)}`);
  // Polls between two notes of the trigger are not told one by one.
  if (job.next_poll_at && seconds(job.next_poll_at) <= time) return "about now";
  return h(When, { at: job.next_poll_at, both });
}

function share(progress) {
  const value = typeof progress === "string" ? Number.parseFloat(progress) : progress;
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0 || value > 100) return null;
  return typeof progress === "number" && !Number.isInteger(progress) && progress < 1 ? value * 100 : value;
}

function Progress({ progress }) {
  if (progress === null || progress === undefined) return null;
  const value = share(progress);
  return h(
    Section,
    { title: "Progress", note: value === null ? plain(progress) : `${Math.round(value)} %` },
    value !== null &&
      h(
        UI.ProgressRoot,
        { value, size: "sm", colorPalette: "brand", "aria-label": "Progress" },
        h(UI.ProgressTrack, { borderRadius: "full" }, h(UI.ProgressRange)),
      ),
  );
}

function Download({ download }) {
  const { records, bytes: size, seconds: took, uris, rejects, sha256, format } = download;
  const length = took < 10 ? `${took.toFixed(1)} s` : span(took);
  const rate = took > 0 ? `${bytes(size / took)}/s in ${length}` : "–";
  return h(
    Section,
    { title: "Download" },
    h(
      Card,
      null,
      h(
        UI.Stack,
        { gap: 4 },
        h(
          Facts,
          null,
          h(Fact, { name: "Records" }, records === null ? "not counted" : number(records)),
          h(Fact, { name: "Size" }, bytes(size)),
          h(Fact, { name: "Rate" }, rate),
          h(Fact, { name: "Format" }, format || "–"),
          h(Fact, { name: "Rejects" }, rejects === null ? "–" : h(UI.Text, { as: "span", color: rejects ? "failed.fg" : undefined }, number(rejects))),
        ),
        uris.length > 0 &&
          h(
            Facts,
            { wide: 1000 },
            h(
              Fact,
              { name: uris.length === 1 ? "File" : "Files" },
              uris.map((uri) => h(UI.HStack, { key: uri, gap: 2 }, h(UI.Text, { as: "span", fontFamily: "mono", fontSize: "xs" }, uri), h(Copy, { text: uri, what: uri }))),
            ),
            sha256 && h(Fact, { name: "SHA-256" }, h(UI.Text, { as: "span", fontFamily: "mono", fontSize: "xs" }, sha256)),
          ),
      ),
    ),
  );
}

function Preview({ preview }) {
  return h(
    Section,
    { title: "First rows" },
    h(
      UI.TableScrollArea,
      { borderWidth: 1, borderRadius: "lg", tabIndex: 0, role: "region", "aria-label": "First rows" },
      h(
        UI.TableRoot,
        { size: "sm", striped: true },
        h(UI.TableHeader, null, h(UI.TableRow, null, preview.columns.map((name, index) => h(UI.TableColumnHeader, { key: index }, plain(name))))),
        h(
          UI.TableBody,
          null,
          preview.rows.map((row, index) =>
            h(UI.TableRow, { key: index }, row.map((cell, column) => h(UI.TableCell, { key: column, maxW: 80, truncate: true }, cell === null ? "" : plain(cell)))),
          ),
        ),
      ),
    ),
  );
}

function Earlier({ jobs }) {
  const names = ["State", "Submission ID", "Submitted", "Ended"];
  return h(
    Section,
    { title: "Earlier jobs of this task", note: "Replaced by this one, such as after a clear. The newest comes first." },
    h(
      UI.TableScrollArea,
      { borderWidth: 1, borderRadius: "lg", borderColor: "border.emphasized" },
      h(
        UI.TableRoot,
        { size: "sm", "aria-label": "Earlier jobs of this task" },
        h(UI.TableHeader, null, h(UI.TableRow, { bg: "bg.subtle" }, names.map((name) => h(UI.TableColumnHeader, { key: name }, name)))),
        h(
          UI.TableBody,
          null,
          jobs.map((job, index) =>
            h(
              UI.TableRow,
              { key: index },
              h(UI.TableCell, null, h(StateBadge, { state: job.state })),
              h(UI.TableCell, { fontFamily: "mono", fontSize: "xs", overflowWrap: "anywhere", whiteSpace: "normal" }, job.submission_id ?? "–"),
              h(UI.TableCell, { whiteSpace: "nowrap" }, h(When, { at: job.submitted_at })),
              h(UI.TableCell, { whiteSpace: "nowrap" }, h(When, { at: job.ended_at })),
            ),
          ),
        ),
      ),
    ),
  );
}

function Related({ related }) {
  return h(
    Section,
    { title: "Other tasks of this job" },
    h(
      UI.HStack,
      { gap: 4, flexWrap: "wrap" },
      related.map(({ task_id: task, map_index: index, kind, url }) =>
        h(
          UI.Link,
          { key: url, asChild: true, fontSize: "sm", color: "fg.info" },
          h(Router.Link, { to: url }, index >= 0 ? `${task} [${index}]` : task, ` ${PHASES[kind] ?? kind}`),
        ),
      ),
    ),
  );
}
