// Texts of an API, indented. They may be cut in the middle, so nothing here needs the end.
const INDENT = "  ";

/** Indent JSON or XML by its first character; any other text stays as it is. */
export function pretty(text) {
  const start = text.trimStart()[0];
  if (start === "{" || start === "[") return prettyJson(text);
  if (start === "<") return prettyXml(text);
  return text;
}

function prettyJson(text) {
  let out = "";
  let depth = 0;
  // Strings, then signs, then everything else; white space between them is dropped.
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"?|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    if (token === "{" || token === "[") {
      depth += 1;
      out += `${token}\n${INDENT.repeat(depth)}`;
    } else if (token === "}" || token === "]") {
      depth = Math.max(0, depth - 1);
      out = /[{[]\s*$/.test(out) ? out.trimEnd() + token : `${out.trimEnd()}\n${INDENT.repeat(depth)}${token}`;
    } else if (token === ",") out += `,\n${INDENT.repeat(depth)}`;
    else out += token === ":" ? ": " : token;
  }
  return out.trimEnd();
}

function prettyXml(text) {
  const lines = [];
  let depth = 0;
  let open = false; // the last line is an opening tag, whose text or end may follow on it
  for (const [token] of text.matchAll(/<!--[\s\S]*?(?:-->|$)|<!\[CDATA\[[\s\S]*?(?:\]\]>|$)|<[^>]*>?|[^<]+/g)) {
    if (!token.trim()) continue;
    const ends = token.startsWith("</");
    if (ends) depth = Math.max(0, depth - 1);
    const begins = /^<[^/?!]/.test(token) && !token.endsWith("/>");
    const markup = token.startsWith("<") && !token.startsWith("<![CDATA[");
    if (open && (ends || !markup)) lines[lines.length - 1] += token.trim();
    else lines.push(INDENT.repeat(depth) + token.trim());
    if (begins) depth += 1;
    open = begins || (open && !markup);
  }
  return lines.join("\n");
}
