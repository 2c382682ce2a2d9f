// `feature probe`: what a kernel can do, as text, as JSON or as macros for C.

import { helperNames } from '../../bpf/helpers.js';
import { MapType, mapTypeName, ProgType, progTypeName } from '../../bpf/types.js';
import { kernelConfig, kernelFile } from '../../loader/kernel-facts.js';
import type { Arguments } from '../arguments.js';
import type { Tool } from '../tool.js';
import { ToolError } from '../tool-error.js';
import { CONFIG_OPTIONS, SYSCTLS } from './config.js';
import { KernelProbe, OFFLOADED_MAPS, OFFLOADED_TYPES } from './probe-kernel.js';

interface ProbeRequest {
  target: 'kernel' | 'device' | undefined;
  ifindex: number;
  full: boolean;
  /** What macros begin with; undefined when none are wanted. */
  prefix: string | undefined;
}

export async function probeFeatures(tool: Tool, args: Arguments): Promise<void> {
  const request: ProbeRequest = { target: undefined, ifindex: 0, full: false, prefix: undefined };
  while (args.left > 0) await takeOption(tool, args, request);
  // JSON has no use for macros.
  if (tool.json) request.prefix = undefined;
  const report = new Report(tool, request);
  tool.json?.startObject();
  if (request.target !== 'device') await systemConfig(tool, report);
  const probe = await KernelProbe.of(await tool.bpf, request.ifindex);
  report.section('syscall_config', 'Scanning system call availability...', 'System call availability');
  report.feature('have_bpf_syscall', 'bpf() syscall', 'BPF_SYSCALL', true);
  report.end();
  const supported = await programTypes(report, probe, request);
  await mapTypes(report, probe, request);
  await helpers(tool, report, probe, request, supported);
  await misc(report, probe);
  tool.json?.endObject();
}

async function takeOption(tool: Tool, args: Arguments, request: ProbeRequest): Promise<void> {
  if (args.take('kernel')) {
    if (request.target !== undefined) throw new ToolError('component to probe already specified');
    request.target = 'kernel';
  } else if (args.take('dev')) {
    if (request.target !== undefined) throw new ToolError('component to probe already specified');
    args.require(1);
    const name = args.next();
    const device = (await (await tool.bpf).netDevices()).find((one) => one.name === name);
    if (device === undefined) throw new ToolError(`unrecognized netdevice '${name}': No such device`);
    request.target = 'device';
    request.ifindex = device.ifindex;
  } else if (args.take('full')) {
    request.full = true;
  } else if (request.prefix === undefined && args.take('macros')) {
    request.prefix = '';
  } else if (args.take('prefix')) {
    if (request.prefix === undefined) throw new ToolError("'prefix' argument can only be use after 'macros'");
    if (request.prefix !== '') throw new ToolError("'prefix' already defined");
    args.require(1);
    request.prefix = args.next();
  } else if (args.is('unprivileged')) {
    throw new ToolError(
      'unprivileged run not supported: a kernel is probed with the rights that it was connected with',
    );
  } else {
    throw new ToolError(
      `expected no more arguments, 'kernel', 'dev', 'macros' or 'prefix', got: '${args.peek}'?`,
    );
  }
}

/** The three forms of everything that is found. */
class Report {
  readonly #tool: Tool;
  readonly prefix: string | undefined;

  constructor(tool: Tool, { prefix }: ProbeRequest) {
    this.#tool = tool;
    this.prefix = prefix;
  }

  section(name: string, title: string, comment: string): void {
    const { json } = this.#tool;
    if (json) {
      json.name(name);
      json.startObject();
    } else {
      this.#tool.print(this.prefix === undefined ? `${title}\n` : `/*** ${comment} ***/\n`);
    }
  }

  end(): void {
    if (this.#tool.json) this.#tool.json.endObject();
    else this.#tool.print('\n');
  }

  feature(name: string, words: string, macro: string, there: boolean): void {
    if (this.#tool.json) this.#tool.json.member(name, there);
    else if (this.prefix === undefined) this.#tool.print(`${words} is ${there ? '' : 'NOT '}available\n`);
    else this.#tool.print(`#define ${this.prefix}${there ? '' : 'NO_'}HAVE_${macro}\n`);
  }

  option(name: string, value: string | undefined): void {
    const { json } = this.#tool;
    if (json) json.member(name, value ?? null);
    else if (this.prefix === undefined) {
      this.#tool.print(value === undefined ? `${name} is not set\n` : `${name} is set to ${value}\n`);
    } else {
      const line = `${this.prefix}${name}`;
      this.#tool.print(value === undefined ? `/* ${line} is not set */\n` : `#define ${line} ${value}\n`);
    }
  }
}

async function systemConfig(tool: Tool, report: Report): Promise<void> {
  const bpf = await tool.bpf;
  report.section('system_config', 'Scanning system configuration...', 'Misc kernel config items');
  if (report.prefix === undefined) {
    for (const { file, name, missing, meanings, other } of SYSCTLS) {
      const text = new TextDecoder().decode((await kernelFile(bpf, file)) ?? new Uint8Array());
      const value = /^-?\d+\n/.test(text) ? Number.parseInt(text, 10) : -1;
      if (tool.json) tool.json.member(name, value);
      else tool.print(`${value === -1 ? missing : (meanings[value] ?? other(value))}\n`);
    }
  }
  const config = await kernelConfig(bpf);
  if (config === undefined) {
    await tool.info("skipping kernel config, can't open file: No such file or directory");
  } else {
    const values = new Map(
      [...config.matchAll(/^(CONFIG_\w+)=(.+)$/gm)].map(([, name, value]) => [name, value] as const),
    );
    for (const { name, macro = false } of CONFIG_OPTIONS) {
      if (report.prefix === undefined || macro) report.option(name, values.get(name));
    }
  }
  report.end();
}

/** Every type but the one that is none, with its name. */
const PROG_TYPES = Object.values(ProgType)
  .filter((type) => type !== ProgType.Unspec)
  .map((type) => ({ type, name: progTypeName(type) ?? '' }));
const MAP_TYPES = Object.values(MapType)
  .filter((type) => type !== MapType.Unspec)
  .map((type) => ({ type, name: mapTypeName(type) ?? '' }));

async function programTypes(
  report: Report,
  probe: KernelProbe,
  { ifindex }: ProbeRequest,
): Promise<Set<ProgType>> {
  const supported = new Set<ProgType>();
  report.section('program_types', 'Scanning eBPF program types...', 'eBPF program types');
  for (const { type, name } of PROG_TYPES) {
    if (ifindex !== 0 && !OFFLOADED_TYPES.has(type)) continue;
    const there = await probe.progType(type);
    if (there) supported.add(type);
    const macro = `${name}_prog_type`;
    report.feature(`have_${macro}`, `eBPF program_type ${name}`, macro.toUpperCase(), there);
  }
  report.end();
  return supported;
}

async function mapTypes(report: Report, probe: KernelProbe, { ifindex }: ProbeRequest): Promise<void> {
  report.section('map_types', 'Scanning eBPF map types...', 'eBPF map types');
  for (const { type, name } of MAP_TYPES) {
    if (ifindex !== 0 && !OFFLOADED_MAPS.has(type)) continue;
    const macro = `${name}_map_type`;
    const there = await probe.mapType(type);
    report.feature(`have_${macro}`, `eBPF map_type ${name}`, macro.toUpperCase(), there);
  }
  report.end();
}

/** Using these makes the kernel write warnings into its log. */
const NOISY: ReadonlySet<string> = new Set(['trace_printk', 'trace_vprintk', 'probe_write_user']);

/** How the macros are used, before they are defined. */
const macroHelp = (prefix: string): string => `/*
 * Use ${prefix}HAVE_PROG_TYPE_HELPER(prog_type_name, helper_name)
 * to determine if <helper_name> is available for <prog_type_name>,
 * e.g.
 *	#if ${prefix}HAVE_PROG_TYPE_HELPER(xdp, bpf_redirect)
 *		// do stuff with this helper
 *	#elif
 *		// use a workaround
 *	#endif
 */
#define ${prefix}HAVE_PROG_TYPE_HELPER(prog_type, helper)	\\
	${prefix}BPF__PROG_TYPE_ ## prog_type ## __HELPER_ ## helper
`;

async function helpers(
  tool: Tool,
  report: Report,
  probe: KernelProbe,
  { ifindex, full }: ProbeRequest,
  supported: ReadonlySet<ProgType>,
): Promise<void> {
  const { prefix } = report;
  report.section('helpers', 'Scanning eBPF helper functions...', 'eBPF helper functions');
  if (prefix !== undefined) tool.print(macroHelp(prefix));
  for (const { type, name } of PROG_TYPES) {
    if (ifindex !== 0 && !OFFLOADED_TYPES.has(type)) continue;
    const names: string[] = [];
    for (const [id, short] of helperNames.entries()) {
      if (id === 0 || (!full && NOISY.has(short))) continue;
      const there = supported.has(type) && (await probe.helper(type, id));
      if (there) names.push(`bpf_${short}`);
      if (prefix === undefined) continue;
      tool.print(`#define ${prefix}BPF__PROG_TYPE_${name}__HELPER_bpf_${short} ${there ? 1 : 0}\n`);
    }
    if (tool.json) tool.json.member(`${name}_available_helpers`, names);
    else if (prefix === undefined) tool.print(helperList(name, names, supported.has(type)));
    await tool.flush();
  }
  report.end();
}

function helperList(type: string, names: readonly string[], supported: boolean): string {
  const list = names.map((name) => `\n\t- ${name}`).join('');
  const head = `eBPF helpers supported for program type ${type}:${list}\n`;
  if (names.length > 0) return head;
  return `${head}\t${supported ? 'Could not determine which helpers are available' : 'Program type not supported'}\n`;
}

async function misc(report: Report, probe: KernelProbe): Promise<void> {
  report.section('misc', 'Scanning miscellaneous eBPF features...', 'eBPF misc features');
  const tell = (macro: string, words: string, there: boolean): void =>
    report.feature(`have_${macro.toLowerCase()}`, words, macro, there);
  tell('LARGE_INSN_LIMIT', 'Large program size limit', await probe.largePrograms());
  tell('BOUNDED_LOOPS', 'Bounded loop support', await probe.boundedLoops());
  tell('V2_ISA_EXTENSION', 'ISA extension v2', await probe.isaV2());
  tell('V3_ISA_EXTENSION', 'ISA extension v3', await probe.isaV3());
  tell('V4_ISA_EXTENSION', 'ISA extension v4', await probe.isaV4());
  report.end();
}
