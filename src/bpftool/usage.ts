// What the usage texts of several objects have in common. They are bpftool's own, with the name by which the tool was called.

import type { Arguments } from './arguments.js';
import type { CommandDefinition, Tool } from './tool.js';
import { ToolError, UsageRequest } from './tool-error.js';

export const SPEC_PROGRAM = 'PROG := { id PROG_ID | pinned FILE | tag PROG_TAG | name PROG_NAME }';
export const SPEC_MAP = 'MAP := { id MAP_ID | pinned FILE | name MAP_NAME }';
export const SPEC_LINK = 'LINK := { id LINK_ID | pinned FILE }';
export const SPEC_OPTIONS = 'OPTIONS := { {-j|--json} [{-p|--pretty}] | {-d|--debug}';

/** Where usage texts go on under what follows `Usage: `. */
const INDENT = '       ';

/**
 * A usage text from its lines: those that are given without an indentation of their own get the usual one, `%` in front
 * stands for the tool's name. What begins with `+` is not bpftool's, and left out for who calls the tool by that name.
 */
export const usageText =
  (lines: readonly string[]) =>
  ({ host }: { host: { name: string } }): string =>
    lines
      .filter((line) => !line.startsWith('+') || host.name !== 'bpftool')
      .map((line) => line.replace(/^\+/, ''))
      .map((line, at) => {
        const text = line.startsWith('%') ? host.name + line.slice(1) : line;
        return `${at === 0 || text === '' ? '' : INDENT}${text}\n`;
      })
      .join('');

/** `help`: the usage text of the object, and no failure. */
export const helpCommand: CommandDefinition = {
  name: 'help',
  async run() {
    throw new UsageRequest(0);
  },
};

/** Fails unless so many words are left: says what is missing and, in text, how it is done. */
export async function requireOrUsage(tool: Tool, args: Arguments, count: number): Promise<void> {
  try {
    args.require(count);
  } catch (error) {
    if (tool.json || !(error instanceof ToolError)) throw error;
    await tool.error(error.message);
    throw new UsageRequest();
  }
}
