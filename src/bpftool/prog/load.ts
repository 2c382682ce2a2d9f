// `prog load` and `prog loadall`: an object file into the kernel, its programs pinned so that they stay.

import { SkepError } from '../../base/error.js';
import type { Bpf, Fd } from '../../bpf/bpf.js';
import { BpfError, errnoMessage } from '../../bpf/errno.js';
import { Btf } from '../../btf/btf.js';
import { parseObject } from '../../elf/object.js';
import { parseSectionName, sectionDefinitions } from '../../elf/sections.js';
import type { CollectionSpec } from '../../elf/spec.js';
import {
  type Collection,
  type LoadedProgram,
  load,
  RefusedProgram,
  setVariable,
} from '../../loader/index.js';
import { mapName, pinName } from '../../loader/names.js';
import type { Arguments } from '../arguments.js';
import { FileError } from '../host.js';
import { parseUnsigned32 } from '../number.js';
import { checkPinDirectory, checkPinPath, closeAll, takeMap } from '../objects.js';
import type { Tool } from '../tool.js';
import { ToolError } from '../tool-error.js';
import {
  logWords,
  mapMadeWords,
  negative,
  objectName,
  openingWords,
  refusedWords,
  tokenWords,
} from './libbpf-words.js';

/** What is logged with `-d`: branches, instructions, figures. */
const DEBUG_LOG_LEVEL = 7;

interface LoadRequest {
  file: string;
  pin: string;
  type: string | undefined;
  /** Maps that take the place of the object's, by number or name. */
  maps: { idx: number | undefined; name: string | undefined; fd: Fd }[];
  device: { ifindex: number; offload: boolean } | undefined;
  pinMaps: string | undefined;
  autoattach: boolean;
  kernelBtf: string | undefined;
  /** Variables and what they are before the load: `limit` and `5`. */
  values: [name: string, value: string][];
}

/** Loads an object and pins its first program (`load`) or all of them (`loadall`). */
export async function loadProgs(tool: Tool, args: Arguments, all: boolean): Promise<void> {
  if (tool.options.useLoader) {
    throw new ToolError(
      'loader programs (-L) are not made: they are run by BPF_PROG_TYPE_SYSCALL with bpf_sys_bpf. Load without -L',
    );
  }
  args.require(2);
  const request: LoadRequest = {
    file: args.next(),
    pin: args.next(),
    type: undefined,
    maps: [],
    device: undefined,
    pinMaps: undefined,
    autoattach: false,
    kernelBtf: undefined,
    values: [],
  };
  const bpf = await tool.bpf;
  try {
    while (args.left > 0) await takeOption(tool, args, request);
    await loadRequested(tool, bpf, request, all);
  } finally {
    await closeAll(
      bpf,
      request.maps.map(({ fd }) => fd),
    );
  }
  tool.done();
}

async function takeOption(tool: Tool, args: Arguments, request: LoadRequest): Promise<void> {
  if (args.take('type')) {
    if (request.type !== undefined) throw new ToolError('program type already specified');
    args.require(1);
    request.type = args.next();
  } else if (args.take('map')) {
    request.maps.push(await takeReplacement(tool, args));
  } else if (args.is('dev') || args.is('offload_dev')) {
    if (args.take('dev')) {
      await tool.info(
        "Warning: 'prog load [...] dev <ifname>' is deprecated. Use 'offload_dev <ifname>' to offload the program to a " +
          "device, 'xdpmeta_dev <ifname>' for XDP metadata alone.",
      );
    } else args.skip();
    await takeDevice(tool, args, request, true);
  } else if (args.take('xdpmeta_dev')) {
    await takeDevice(tool, args, request, false);
  } else if (args.take('pinmaps')) {
    args.require(1);
    request.pinMaps = args.next();
  } else if (args.take('autoattach')) {
    request.autoattach = true;
  } else if (args.take('kernel_btf')) {
    args.require(1);
    request.kernelBtf = args.next();
  } else if (tool.host.name === 'skep' && args.take('set')) {
    // Not in bpftool's grammar, where only skeletons can do this.
    args.require(1);
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(args.next()) ?? [];
    if (name === undefined || value === undefined)
      throw new ToolError(`expected NAME=VALUE, got: '${args.last}'`);
    request.values.push([name, value]);
  } else {
    throw new ToolError(
      "expected no more arguments, 'type', 'map', 'offload_dev', 'xdpmeta_dev', 'pinmaps', 'autoattach', or " +
        `'kernel_btf', got: '${args.peek}'?`,
    );
  }
}

async function takeReplacement(tool: Tool, args: Arguments): Promise<LoadRequest['maps'][number]> {
  args.require(4);
  let idx: number | undefined;
  let name: string | undefined;
  if (args.take('idx')) {
    const word = args.next();
    idx = parseUnsigned32(word);
    if (idx === undefined) throw new ToolError(`can't parse ${word} as IDX`);
  } else if (args.take('name')) {
    name = args.next();
  } else {
    throw new ToolError(`expected 'idx' or 'name', got: '${args.peek}'?`);
  }
  return { idx, name, fd: await takeMap(tool, args) };
}

async function takeDevice(
  tool: Tool,
  args: Arguments,
  request: LoadRequest,
  offload: boolean,
): Promise<void> {
  if (request.device?.offload === offload) {
    throw new ToolError(`${offload ? 'offload_dev' : 'xdpmeta_dev'} already specified`);
  }
  if (request.device !== undefined) throw new ToolError('xdpmeta_dev and offload_dev are mutually exclusive');
  args.require(1);
  const name = args.next();
  const device = (await (await tool.bpf).netDevices()).find((one) => one.name === name);
  if (device === undefined) throw new ToolError(`unrecognized netdevice '${name}': No such device`);
  request.device = { ifindex: device.ifindex, offload };
}

const saying = async (tool: Tool, words: readonly string[]): Promise<void> => {
  if (words.length === 0) return;
  await tool.flush();
  await tool.host.err(words.map((line) => `libbpf: ${line}\n`).join(''));
};

async function loadRequested(tool: Tool, bpf: Bpf, request: LoadRequest, all: boolean): Promise<void> {
  const { file, pin, pinMaps } = request;
  const spec = await openObject(tool, file);
  for (const [name, value] of request.values) setVariable(spec, name, value);
  await overrideTypes(tool, spec, request.type);
  const collection = await loadObject(tool, bpf, spec, request);
  try {
    if (all) await checkPinDirectory(tool, pin);
    else await checkPinPath(tool, pin);
    const pins = new Pins(tool, bpf);
    try {
      if (all) await pinAll(tool, pins, collection, request);
      else await pinFirst(tool, pins, collection, request);
      if (pinMaps !== undefined) await pinAllMaps(tool, pins, collection, pinMaps, objectName(file));
    } catch (error) {
      await pins.undo();
      throw error;
    }
  } finally {
    await collection.close();
  }
}

/** Reads an object, and tells what libbpf would. */
export async function openObject(tool: Tool, file: string): Promise<CollectionSpec> {
  let bytes: Uint8Array;
  try {
    bytes = await tool.host.readFile(file);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    await saying(tool, [`elf: failed to open ${file}: ${negative(error)}`]);
    throw new ToolError('failed to open object file');
  }
  try {
    const spec = parseObject(bytes);
    if (tool.options.debug) await saying(tool, openingWords(file, bytes, spec));
    return spec;
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    await saying(tool, [`${file}: ${error.message}`, ...(error.hint ? [error.hint] : [])]);
    throw new ToolError('failed to open object file');
  }
}

/** Gives every program the type of this section name. Without one their own sections must say it. */
async function overrideTypes(tool: Tool, spec: CollectionSpec, type: string | undefined): Promise<void> {
  const known = (name: string) =>
    parseSectionName(name)?.definition ?? parseSectionName(`${name}/`)?.definition;
  const guess = async (name: string) => {
    const definition = known(name);
    if (definition !== undefined) return definition;
    const names = sectionDefinitions.map((one) => one.name).join(' ');
    await saying(tool, [
      `failed to guess program type from ELF section '${name}'`,
      `supported section(type) names are: ${names}`,
    ]);
    throw new ToolError(`no program type is named '${name}'`);
  };
  if (type === undefined) {
    for (const { section } of spec.programs) await guess(section);
    return;
  }
  const definition = await guess(type);
  for (const program of spec.programs) {
    program.type = definition.type;
    if (definition.attachType !== undefined) program.attachType = definition.attachType;
  }
}

/** The maps that take the place of the object's, by the spec's names. */
function replacements(spec: CollectionSpec, { file, maps }: LoadRequest): Map<string, Fd> {
  const found = new Map<string, Fd>();
  for (const { idx, name, fd } of maps) {
    const map =
      idx === undefined ? spec.maps.find((one) => name === mapName(one, objectName(file))) : spec.maps[idx];
    if (map === undefined) {
      throw new ToolError(name === undefined ? `map idx '${idx}' not used` : `unable to find map '${name}'`);
    }
    if (found.has(map.name)) {
      throw new ToolError(`replacement for map idx ${spec.maps.indexOf(map)} specified more than once`);
    }
    found.set(map.name, fd);
  }
  return found;
}

async function loadObject(
  tool: Tool,
  bpf: Bpf,
  spec: CollectionSpec,
  request: LoadRequest,
): Promise<Collection> {
  const { file, device, kernelBtf } = request;
  const { debug } = tool.options;
  const [mount] = await bpf.bpfMounts();
  const custom = kernelBtf === undefined ? undefined : Btf.parse(await tool.host.readFile(kernelBtf));
  const logs: string[] = [];
  try {
    const collection = await load(spec, bpf, {
      ...(custom === undefined ? {} : { kernelBtf: custom }),
      name: objectName(file),
      existingMaps: replacements(spec, request),
      ...(device === undefined ? {} : { device }),
      ...(mount === undefined ? {} : { pinDirectory: mount }),
      ...(debug ? { logLevel: DEBUG_LOG_LEVEL } : {}),
      onLog: ({ name }, log) => logs.push(logWords(name, log)),
    });
    if (debug) await saying(tool, [...(await beforePrograms(bpf, mount, file, collection)), ...logs]);
    return collection;
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    if (debug) await saying(tool, [...(await beforePrograms(bpf, mount, file)), ...logs]);
    await saying(tool, [...reasons(error), `failed to load object '${file}'`]);
    throw new ToolError('failed to load object file');
  }
}

/** What libbpf says between opening an object and loading its programs. */
async function beforePrograms(
  bpf: Bpf,
  mount: string | undefined,
  file: string,
  collection?: Collection,
): Promise<string[]> {
  const words: string[] = [];
  if (mount !== undefined) {
    try {
      await bpf.close(await bpf.tokenCreate(mount));
    } catch (error) {
      const said = tokenWords(objectName(file), mount, error);
      if (said === undefined) throw error;
      words.push(said);
    }
  }
  for (const map of collection?.maps.values() ?? []) {
    words.push(mapMadeWords(map.spec, objectName(file), map.fd));
  }
  return words;
}

function reasons(error: SkepError): string[] {
  if (error instanceof RefusedProgram && error.cause instanceof BpfError) {
    return refusedWords(error.program.name, error.cause);
  }
  return [error.message, ...(error.hint ? [error.hint] : [])];
}

/** Pins and directories that a command made, so that one that fails leaves none behind. */
class Pins {
  readonly #bpf: Bpf;
  readonly #tool: Tool;
  readonly #made: string[] = [];

  constructor(tool: Tool, bpf: Bpf) {
    this.#tool = tool;
    this.#bpf = bpf;
  }

  /** Pins; with `attach` the program's link when it can be attached, otherwise the program. */
  async program(program: LoadedProgram, path: string, attach: boolean): Promise<void> {
    if (!attach) return this.pin(program.fd, path);
    let link: Awaited<ReturnType<LoadedProgram['attach']>>;
    try {
      link = await program.attach();
    } catch (error) {
      if (!(error instanceof SkepError)) throw error;
      await this.#tool.info(`Program ${program.name} does not support autoattach, falling back to pinning`);
      return this.pin(program.fd, path);
    }
    if (link.fd === undefined) throw new SkepError('is attached without a link, which cannot be pinned');
    await this.pin(link.fd, path);
    await link.close();
  }

  async pin(fd: Fd, path: string): Promise<void> {
    const where = this.#tool.path(path);
    await this.#bpf.objPin(fd, where);
    this.#made.push(where);
  }

  async directory(path: string): Promise<void> {
    const where = this.#tool.path(path);
    const there = await this.#bpf.fileStat(where).catch(() => undefined);
    if (there === undefined) await this.#bpf.mkdir(where, 0o700);
  }

  async undo(): Promise<void> {
    for (const path of this.#made.toReversed()) {
      await this.#bpf.unlink(path).catch((error: unknown) => {
        if (!(error instanceof BpfError)) throw error;
      });
    }
  }
}

/** Tells why, then fails in the tool's words. */
async function pinFailure(tool: Tool, error: unknown, what: string, message: string): Promise<ToolError> {
  if (error instanceof BpfError) await saying(tool, [`${what}: ${errnoMessage(error.errno)}`]);
  else if (error instanceof SkepError) await saying(tool, [error.message]);
  else throw error;
  return new ToolError(message);
}

async function pinFirst(tool: Tool, pins: Pins, collection: Collection, request: LoadRequest): Promise<void> {
  const [first] = collection.spec.programs;
  if (first === undefined) throw new ToolError("object file doesn't contain any bpf program");
  const { pin, autoattach } = request;
  const program = collection.programs.get(first.name);
  const message = `failed to pin program ${first.section}`;
  if (program === undefined) {
    await saying(tool, [`prog '${first.name}': can't pin program that wasn't loaded`]);
    throw new ToolError(message);
  }
  try {
    await pins.program(program, pin, autoattach);
  } catch (error) {
    throw await pinFailure(tool, error, `prog '${first.name}': failed to pin at '${pin}'`, message);
  }
}

async function pinAll(tool: Tool, pins: Pins, collection: Collection, request: LoadRequest): Promise<void> {
  const { pin, autoattach } = request;
  for (const { name } of collection.spec.programs) {
    const path = `${pin}/${name}`;
    try {
      const program = collection.programs.get(name);
      if (program === undefined) throw new SkepError(`prog '${name}': can't pin program that wasn't loaded`);
      await pins.directory(pin);
      await pins.program(program, path, autoattach);
    } catch (error) {
      throw await pinFailure(
        tool,
        error,
        `prog '${name}': failed to pin at '${path}'`,
        'failed to pin all programs',
      );
    }
  }
}

async function pinAllMaps(
  tool: Tool,
  pins: Pins,
  collection: Collection,
  directory: string,
  object: string,
): Promise<void> {
  await checkPinDirectory(tool, directory);
  for (const { spec, fd } of collection.maps.values()) {
    const path = `${directory}/${pinName(spec, object)}`;
    try {
      await pins.directory(directory);
      await pins.pin(fd, path);
    } catch (error) {
      throw await pinFailure(
        tool,
        error,
        `failed to pin map '${spec.name}' at '${path}'`,
        'failed to pin all maps',
      );
    }
  }
}
