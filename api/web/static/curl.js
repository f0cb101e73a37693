// Curl commands for an operation of an OpenAPI document, to be pasted into a shell.

const KEY_HEADER = "-H \"Authorization: Bearer $PALAVER_API_KEY\"";

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function addressOf({ path, parameters = [] }, origin) {
  const filled = parameters.filter((one) => one.in === "path").reduce(
    (address, one) => address.replace(`{${one.name}}`, encodeURIComponent(one.example)), path,
  );
  return quoted(origin + filled);
}

/** Whether a good answer can be a stream, and whether it can be anything else. */
function streams(responses) {
  const types = Object.keys(responses["200"]?.content ?? {});
  return { some: types.includes("text/event-stream"), only: types.join() === "text/event-stream" };
}

/** Each example as `{title, command}`. */
export function curlCommands(operation, origin) {
  const { method, requestBody, responses, security = [] } = operation;
  const start = ["curl", streams(responses).only ? "-sN" : "-s", addressOf(operation, origin)];
  if (security.length > 0) start.push(KEY_HEADER);
  // What curl does by itself: it reads, and sends a body by POST.
  if (method !== (requestBody ? "post" : "get")) start.push("-X", method.toUpperCase());
  if (!requestBody) return [{ title: "curl", command: start.join(" ") }];
  const examples = Object.values(requestBody.content["application/json"].examples);
  const commands = examples.map(({ summary, value }) => ({
    title: summary, command: [...start, "-d", quoted(JSON.stringify(value))].join(" "),
  }));
  // Under /v1 a field of the body asks for a stream.
  if (streams(responses).some && !operation.path.startsWith("/v1/")) {
    const body = quoted(JSON.stringify(examples[0].value));
    const asked = [...start, "-N", "-H", quoted("Accept: text/event-stream"), "-d", body];
    commands.push({ title: "The reply as a stream", command: asked.join(" ") });
  }
  return commands;
}
