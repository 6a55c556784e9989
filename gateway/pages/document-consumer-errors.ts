import { errorCodes, errorRow, type ErrorCode } from '#core/errors.ts';

const retryText = { no: 'no', later: 'after a pause', yes: 'at once' } as const;

const rowsOf = (codes: readonly ErrorCode[]): string => {
  const rows = codes.map((code) => {
    const { status, retry, action } = errorRow(code);
    return `| \`${code}\` | ${status} | ${retryText[retry]} | ${action.replaceAll('|', String.raw`\|`)} |`;
  });
  return `| code | status | send it again? | what to do |\n| --- | --- | --- | --- |\n${rows.join('\n')}`;
};

/** `docs/consumers/errors.md`, for whoever calls the API: how to read an error, and what to do about each. */
export function documentConsumerErrors(): string {
  // No client ever sees an answer to a request that it has given up.
  const codes = errorCodes.filter((code) => code !== 'CLIENT_CLOSED_REQUEST');
  const of = (...faults: readonly string[]) => codes.filter((code) => faults.includes(errorRow(code).fault));
  return `# Calling the API: errors

<!-- Generated from core/errors.ts by \`npm run generate\`; do not edit. -->

An error of the gateway has a \`code\`. Codes stay the same from release to release; titles and details are for people, and
change. Decide by the code, or by the status where you do not know the code.

## REST

Errors are \`application/problem+json\` (RFC 9457):

\`\`\`json
{
  "type": "/docs/errors/REQUEST_INVALID",
  "title": "${errorRow('REQUEST_INVALID').title}",
  "status": 400,
  "detail": "#/lines/1/qty must be >= 1.",
  "errors": [{ "detail": "must be >= 1", "pointer": "#/lines/1/qty" }],
  "code": "REQUEST_INVALID",
  "requestId": "7f3c1d52-6c1c-4a53-9a60-0d5a7a3b9f10"
}
\`\`\`

- \`type\` opens a page about the error, on the gateway itself.
- \`detail\` says what is wrong with this request.
- \`errors\` lists each thing that is wrong: \`pointer\` is a place in the body, a JSON Pointer after \`#\` (RFC 6901 §6); \`parameter\`
  and \`in\` (\`path\`, \`query\`, \`header\`) name a parameter.
- \`upstream\` names the service behind the gateway that failed, where one did.
- \`requestId\` is in the header \`x-request-id\`, too. Quote it when you report a problem.

An error without \`code\` is the service's own, passed on as it is: its documentation says what it means. So does
\`Proxy-Status\` (RFC 9209): only answers of the gateway itself have it with an \`error\`.

### Answers that are not whole

An answer that is made of several services may do without some of them. Then it has its usual status, \`x-weir-completed: false\`, and
\`x-weir-missing\` with the parts that are missing: what is null in it, or has something in its place. Ask again later for the whole.

## GraphQL

The same code is in \`errors[].extensions.code\`, with \`requestId\` beside it. A field that failed is \`null\`, \`path\` says which, and the rest
of the answer is there. Look at \`errors\` whatever the status is: clients that ask for \`application/json\` get 200 for documents
that are wrong, others get the status of the table.

## Sending again

- Where the table says "no", the same request fails again.
- \`Retry-After\` is in seconds. Wait at least that long; without one, begin with a second and double it each time, with chance in it.
- Send again on your own only what is safe to send twice: GET, PUT, DELETE, and a POST with an \`Idempotency-Key\` where the API takes one.
- Give up after a few times. A client that never does keeps a service down that is already in trouble.

## When the request is wrong

${rowsOf(of('client'))}

## When the gateway or a service behind it fails

${rowsOf(of('gateway', 'upstream'))}
`;
}
