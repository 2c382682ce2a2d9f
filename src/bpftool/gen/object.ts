// `gen object`: several objects linked into one.

import { SkepError } from '../../base/error.js';
import { Errno, errnoMessage } from '../../bpf/errno.js';
import { linkObjects, type ObjectToLink } from '../../elf/static-link/index.js';
import type { Arguments } from '../arguments.js';
import { FileError } from '../host.js';
import type { Tool } from '../tool.js';
import { statusOfErrno, ToolError } from '../tool-error.js';
import { requireOrUsage } from '../usage.js';

export async function linkCommand(tool: Tool, args: Arguments): Promise<undefined> {
  await requireOrUsage(tool, args, 2);
  const output = args.next();
  const objects: ObjectToLink[] = [];
  while (args.left > 0) {
    const name = args.next();
    objects.push({ name, bytes: await inputFile(tool, name) });
  }
  const linked = await link(tool, objects);
  try {
    await tool.host.writeFile(output, linked);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    await tool.info(`failed to create '${output}': ${errnoMessage(error.errno)}`);
    throw new ToolError('failed to create BPF linker instance');
  }
}

const failed = (name: string, errno: number): ToolError =>
  new ToolError(`failed to link '${name}': ${errnoMessage(errno)} (${errno})`, statusOfErrno(errno));

async function inputFile(tool: Tool, name: string): Promise<Uint8Array> {
  try {
    return await tool.host.readFile(name);
  } catch (error) {
    if (error instanceof FileError) throw failed(name, error.errno);
    throw error;
  }
}

/** What the linker says stands before the tool's error, which names the object. */
async function link(tool: Tool, objects: readonly ObjectToLink[]): Promise<Uint8Array> {
  try {
    return linkObjects(objects);
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    await tool.info(error.hint ? `${error.message}. ${error.hint}` : error.message);
    const name = objects.find((object) => error.message.startsWith(object.name))?.name;
    throw failed(name ?? objects.at(-1)?.name ?? '', Errno.EINVAL);
  }
}
