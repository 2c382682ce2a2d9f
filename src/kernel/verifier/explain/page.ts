// The page of documentation on the verifier's messages (docs/verifier-errors.md), made from the table.

import type { Entry } from './entry.js';

const HEAD = `# The verifier's messages

What the verifier says when it refuses a program, what it means, and what usually mends it. \`skep verify\` and \`skep run\`
print the same with the place in the source, the way there and where the value came from. Words in *italics* are those that
the message fills in. (Made by \`scripts/verifier-errors.mjs\`; do not edit.)
`;

/** \`{name}\` becomes _name_: the message says what. */
const shown = (text: string): string =>
  text
    .replace(/\{(\w+)\}/g, (_, name: string) => (name === 'reg' ? 'R*n*' : `*${name}*`))
    .replaceAll('__', '\\_\\_');

/** The page. Messages are in the table's order, which puts the particular before the general. */
export function errorsPage(entries: readonly Entry[]): string {
  const parts = entries.map(({ example, title, required, found, mend }) =>
    [
      `## \`${example}\``,
      '',
      `**${shown(title)}**`,
      '',
      `- Required: ${shown(required)}`,
      ...(found === undefined ? [] : [`- Found: ${shown(found)}`]),
      `- Mending: ${shown(mend)}`,
      '',
    ].join('\n'),
  );
  return `${HEAD}\n${parts.join('\n')}`;
}
