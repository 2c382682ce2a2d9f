// `gen min_core_btf`: the types of a kernel that the CO-RE relocations of objects need, and no others.

import { SkepError } from '../../base/error.js';
import { Errno, errnoMessage } from '../../bpf/errno.js';
import { Btf } from '../../btf/btf.js';
import { parseBtfExt } from '../../btf/ext.js';
import { withLayoutHeader } from '../../btf/header.js';
import { type CoreUser, minimalBtf } from '../../btf/minimize.js';
import { ElfFile } from '../../elf/file.js';
import type { Arguments } from '../arguments.js';
import { btfOfFile } from '../btf/source.js';
import { FileError } from '../host.js';
import type { Tool } from '../tool.js';
import { statusOfErrno, ToolError } from '../tool-error.js';
import { requireOrUsage } from '../usage.js';

export async function minimizeCommand(tool: Tool, args: Arguments): Promise<undefined> {
  await requireOrUsage(tool, args, 3);
  const input = args.next();
  const output = args.next();
  const target = await btfOfFile(tool, input).catch((error: unknown) => {
    if (!(error instanceof ToolError)) throw error;
    throw new ToolError(`failed parsing '${input}' BTF file: ${reasonIn(error.message)}`, error.status);
  });
  const users: CoreUser[] = [];
  while (args.left > 0) users.push(await relocationsOf(tool, args.next()));
  const minimal = minimalBtf(target, users);
  try {
    await tool.host.writeFile(output, withLayoutHeader(minimal.encode()));
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const { errno } = error;
    throw new ToolError(`error saving btf file: ${errnoMessage(errno)}`, statusOfErrno(errno));
  }
}

/** What went wrong with a file, without its name, which the caller tells. */
const reasonIn = (message: string): string => message.replace(/^.*?: /, '');

async function relocationsOf(tool: Tool, path: string): Promise<CoreUser> {
  const failed = async (reason: string, errno: number): Promise<ToolError> => {
    await tool.error(`failed to parse BPF object '${path}': ${reason}`);
    const message = `error recording relocations for ${path}: ${errnoMessage(errno)}`;
    return new ToolError(message, statusOfErrno(errno));
  };
  try {
    const elf = ElfFile.parse(await tool.host.readFile(path));
    const [types, ext] = ['.BTF', '.BTF.ext'].map((name) => elf.sectionByName(name));
    if (types === undefined) throw await failed('section .BTF not found', Errno.ENODATA);
    const btf = Btf.parse(elf.contents(types));
    if (ext === undefined) throw await failed('section .BTF.ext not found', Errno.EINVAL);
    const { coreRelocations } = parseBtfExt(elf.contents(ext), btf);
    return { btf, relocations: [...coreRelocations.values()].flat() };
  } catch (error) {
    if (error instanceof FileError) throw await failed(errnoMessage(error.errno), error.errno);
    if (error instanceof SkepError) throw await failed(error.message, Errno.EINVAL);
    throw error;
  }
}
