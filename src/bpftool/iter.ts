// `iter`: iterators pinned, so that reading the file runs the program over what it iterates on.

import { SkepError } from '../base/error.js';
import type { Bpf, Fd } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { AttachType, MapFlag } from '../bpf/types.js';
import { parseObject } from '../elf/object.js';
import { type Collection, load } from '../loader/index.js';
import type { Arguments } from './arguments.js';
import { FileError } from './host.js';
import { checkPinPath, closeAll, takeMap } from './objects.js';
import { objectName } from './prog/libbpf-words.js';
import { tellReason } from './refusal.js';
import type { CommandTable, Tool } from './tool.js';
import { FAILED, statusOfErrno, ToolError } from './tool-error.js';
import { helpCommand, requireOrUsage, SPEC_MAP, SPEC_OPTIONS, usageText } from './usage.js';

/** union bpf_iter_link_info; its first word is the map's descriptor. */
const LINK_INFO_SIZE = 16;

function linkInfo(map: Fd): Uint8Array {
  const info = new Uint8Array(LINK_INFO_SIZE);
  new DataView(info.buffer).setUint32(0, map, true);
  return info;
}

/** The errno behind an error, as an exit status. */
function statusOf(error: unknown): number {
  const cause = error instanceof SkepError ? error.cause : error;
  return cause instanceof BpfError ? statusOfErrno(cause.errno) : statusOfErrno(Errno.EINVAL);
}

/** Reads and loads an object. Fails in the tool's words, behind what went wrong. */
export async function loadFile(tool: Tool, bpf: Bpf, file: string): Promise<Collection> {
  let bytes: Uint8Array;
  try {
    bytes = await tool.host.readFile(file);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    await tool.info(`libbpf: elf: failed to open ${file}: ${error.message}`);
    throw new ToolError(`can't open objfile ${file}`, statusOfErrno(error.errno));
  }
  const told = async (error: unknown, what: string, status: number): Promise<ToolError> => {
    if (!(error instanceof SkepError)) throw error;
    await tool.info(`libbpf: ${error.message}${error.hint ? `. ${error.hint}` : ''}`);
    return new ToolError(`${what} ${file}`, status);
  };
  let spec: ReturnType<typeof parseObject>;
  try {
    spec = parseObject(bytes);
  } catch (error) {
    throw await told(error, "can't open objfile", statusOfErrno(Errno.EINVAL));
  }
  try {
    return await load(spec, bpf, { name: objectName(file) });
  } catch (error) {
    throw await told(error, "can't load objfile", statusOf(error));
  }
}

async function pin(tool: Tool, args: Arguments): Promise<undefined> {
  await requireOrUsage(tool, args, 2);
  const bpf = await tool.bpf;
  const file = args.next();
  const path = args.next();
  const open: Fd[] = [];
  try {
    let map: Fd | undefined;
    if (args.take('map')) {
      if (args.left < 2) {
        await tool.error(`'${args.last}' needs at least 2 arguments, ${args.left} found`);
        throw new ToolError('incorrect map spec');
      }
      map = await takeMap(tool, args, MapFlag.Rdonly);
      open.push(map);
    }
    const collection = await loadFile(tool, bpf, file);
    try {
      await pinFirst(tool, bpf, collection, { file, path, map });
    } finally {
      await collection.close();
    }
  } finally {
    await closeAll(bpf, open);
  }
}

async function pinFirst(
  tool: Tool,
  bpf: Bpf,
  { programs, spec }: Collection,
  { file, path, map }: { file: string; path: string; map: Fd | undefined },
): Promise<void> {
  const name = spec.programs[0]?.name ?? '';
  const program = programs.get(name);
  if (program === undefined) throw new ToolError(`can't find bpf program in objfile ${file}`, FAILED);
  let link: Fd;
  try {
    link = await bpf.linkCreate({
      prog: program.fd,
      attachType: AttachType.TraceIter,
      ...(map === undefined ? {} : { iterInfo: linkInfo(map) }),
    });
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    await tellReason(tool, error);
    throw new ToolError(`attach_iter failed for program ${name}`, statusOf(error));
  }
  try {
    await checkPinPath(tool, path);
    await bpf.objPin(link, tool.path(path));
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    await tellReason(tool, error);
    throw new ToolError(`pin_iter failed for program ${name} to path ${path}`, statusOf(error));
  } finally {
    await closeAll(bpf, [link]);
  }
}

export const iterCommands: CommandTable = {
  commands: [helpCommand, { name: 'pin', run: pin }],
  usage: usageText(['% iter pin OBJ PATH [map MAP]', '% iter help', '', SPEC_MAP, `${SPEC_OPTIONS} }`]),
};
