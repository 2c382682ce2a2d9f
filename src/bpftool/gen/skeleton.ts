// `gen skeleton` and `gen subskeleton`.

import { SkepError } from '../../base/error.js';
import { Errno, errnoMessage } from '../../bpf/errno.js';
import { ElfFile } from '../../elf/file.js';
import { parseObject } from '../../elf/object.js';
import type { CollectionSpec } from '../../elf/spec.js';
import type { Arguments } from '../arguments.js';
import { FileError } from '../host.js';
import type { Tool } from '../tool.js';
import { ToolError } from '../tool-error.js';
import { requireOrUsage } from '../usage.js';
import { cSkeleton } from './c-skeleton.js';
import { cSubskeleton } from './c-subskeleton.js';
import { type DescribedObject, describeObject, nameOfFile } from './described.js';
import { tsSkeleton } from './ts-skeleton.js';

interface Request {
  file: string;
  name: string | undefined;
  language: 'c' | 'ts';
}

/** Takes `FILE [name OBJECT_NAME] [language LANGUAGE]`. */
async function takeRequest(tool: Tool, args: Arguments, languages: boolean): Promise<Request> {
  await requireOrUsage(tool, args, 1);
  const request: Request = { file: args.next(), name: undefined, language: 'c' };
  let language: string | undefined;
  while (args.left > 0) {
    args.require(2);
    if (args.take('name')) {
      if (request.name !== undefined) throw new ToolError('object name already specified');
      request.name = args.next();
    } else if (languages && args.take('language')) {
      if (language !== undefined) throw new ToolError('language already specified');
      language = args.next();
      if (language !== 'c' && language !== 'ts') {
        throw new ToolError(`expected 'c' or 'ts', got: '${language}'?`);
      }
      request.language = language;
    } else {
      throw new ToolError(`unknown arg ${args.next()}`);
    }
  }
  return request;
}

async function describe(tool: Tool, { file, name }: Request, prefix?: string): Promise<DescribedObject> {
  let bytes: Uint8Array;
  try {
    bytes = await tool.host.readFile(file);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const call = error.errno === Errno.ENOENT ? 'stat' : 'open';
    throw new ToolError(`failed to ${call}() ${file}: ${errnoMessage(error.errno)}`);
  }
  let spec: CollectionSpec;
  try {
    spec = parseObject(bytes);
    refuseStructOps(bytes);
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    throw new ToolError(`failed to open BPF object file: ${error.message}`);
  }
  return describeObject(spec, bytes, name ?? nameOfFile(file), prefix);
}

/** Maps of kernel structures are none of the spec's, and a skeleton without them would promise what it cannot keep. */
function refuseStructOps(bytes: Uint8Array): void {
  const section = ElfFile.parse(bytes).sections.find(({ name }) => /^\??\.struct_ops(\.link)?$/.test(name));
  if (section === undefined) return;
  throw new SkepError('skeletons of objects with struct_ops maps are not made', {
    where: `section '${section.name}'`,
  });
}

export async function skeletonCommand(tool: Tool, args: Arguments): Promise<undefined> {
  const request = await takeRequest(tool, args, true);
  if (tool.options.useLoader) {
    throw new ToolError(
      'light skeletons (-L), and signed ones (-S), are not made: they need a loader program, which this tool does not generate',
    );
  }
  const object = await describe(tool, request);
  tool.print(request.language === 'ts' ? tsSkeleton(object) : cSkeleton(object));
}

export async function subskeletonCommand(tool: Tool, args: Arguments): Promise<undefined> {
  const request = await takeRequest(tool, args, false);
  if (tool.options.useLoader) throw new ToolError('cannot use loader for subskeletons');
  const object = await describe(tool, request, '');
  if (object.spec.btf === undefined) throw new ToolError(`need btf type information for ${object.name}`);
  tool.print(cSubskeleton(object));
}
