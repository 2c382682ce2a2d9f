// What a kernel says beside the errno, where it says something: why a device refuses a program, which hook does not exist.

import { BpfError, errnoMessage } from '../bpf/errno.js';
import type { Tool } from './tool.js';
import { statusOfErrno, ToolError } from './tool-error.js';

/** The words of the error behind strerror's; empty when there are none. */
const detailOf = ({ message }: BpfError): string =>
  /\((?:E[0-9A-Z]+|errno \d+)\): (.*)$/s.exec(message)?.[1] ?? '';

/** Says on standard error what the kernel said of a failure, as libbpf's messages stand there before the tool's own. */
export async function tellReason(tool: Tool, error: BpfError, reason = detailOf(error)): Promise<void> {
  if (reason !== '') await tool.info(`Kernel error message: ${reason}`);
}

/**
 * The kernel's refusal as the tool words it, `WHAT: Device or resource busy`, after the reason that the kernel gave. Exits
 * with the errno. What is no kernel's error is thrown on.
 */
export async function refusal(tool: Tool, error: unknown, what: string): Promise<ToolError> {
  if (!(error instanceof BpfError)) throw error;
  await tellReason(tool, error);
  return new ToolError(`${what}: ${errnoMessage(error.errno)}`, statusOfErrno(error.errno));
}

/** The same where the tool's words do not say why: the reason does, if it is only the errno's. */
export async function wordlessRefusal(tool: Tool, error: unknown, what: string): Promise<ToolError> {
  if (!(error instanceof BpfError)) throw error;
  await tellReason(tool, error, detailOf(error) || errnoMessage(error.errno));
  return new ToolError(what);
}
