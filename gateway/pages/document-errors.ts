import { errorCodes, errorRow } from '#core/errors.ts';

/** `docs/errors.md`: the same table that answers are made from. */
export function documentErrors(): string {
  const sections = errorCodes.map((code) => {
    const row = errorRow(code);
    return `## ${code}

${row.title}. Status ${row.status}, fault: ${row.fault}, retry: ${row.retry}.

${row.meaning}

What to do: ${row.action}
`;
  });
  return `# Errors

<!-- Generated from core/errors.ts by \`npm run generate\`; do not edit. -->

Every error of the gateway has one of these codes. REST answers carry it as \`code\` in an \`application/problem+json\` document
(RFC 9457), whose \`type\` opens \`/docs/errors/CODE\` on the gateway itself; GraphQL answers carry it as \`extensions.code\`.
Both name the \`requestId\`, under which the gateway's log has the cause. \`fault\` says who has to act: the client, whoever
runs the gateway, or the team behind an upstream.

${sections.join('\n')}`;
}
