// The grammar's frame: options, then an object, then its commands. An object's code is imported only when it is asked for.

import { Arguments } from './arguments.js';
import { runBatch } from './batch.js';
import type { Host } from './host.js';
import type { ObjectName } from './names.js';
import { parseLine } from './options.js';
import { type CommandTable, runCommand, Tool, type ToolOptions } from './tool.js';
import { FAILED, statusOfErrno } from './tool-error.js';
import { helpCommand, SPEC_OPTIONS, usageText } from './usage.js';
import { versionCommand } from './version.js';

/** The commands of each object that has any, in the order of OBJECT_NAMES. */
export const TABLES: Readonly<Partial<Record<ObjectName, () => Promise<CommandTable>>>> = {
  prog: async () => (await import('./prog/index.js')).progCommands,
  map: async () => (await import('./map/index.js')).mapCommands,
  link: async () => (await import('./link/index.js')).linkCommands,
  cgroup: async () => (await import('./cgroup/index.js')).cgroupCommands,
  perf: async () => (await import('./perf.js')).perfCommands,
  net: async () => (await import('./net/index.js')).netCommands,
  feature: async () => (await import('./feature/index.js')).featureCommands,
  btf: async () => (await import('./btf/index.js')).btfCommands,
  gen: async () => (await import('./gen/index.js')).genCommands,
  struct_ops: async () => (await import('./struct-ops/index.js')).structOpsCommands,
  iter: async () => (await import('./iter.js')).iterCommands,
  token: async () => (await import('./token.js')).tokenCommands,
};

const OBJECTS: CommandTable = {
  commands: [
    helpCommand,
    { name: 'batch', run: runBatch },
    ...Object.entries(TABLES).map(([name, table]) => ({
      name,
      run: async (tool: Tool, args: Arguments) => runCommand(tool, await table(), args),
    })),
    versionCommand,
  ],
  usage: usageText([
    '% [OPTIONS] OBJECT { COMMAND | help }',
    '% batch file FILE',
    '% version',
    '',
    'OBJECT := { prog | map | link | cgroup | perf | net | feature | btf | gen | struct_ops | iter | token }',
    `${SPEC_OPTIONS} |`,
    '             {-V|--version} }',
  ]),
};

/** Runs one command line, without the tool's name. Gives back the exit status. */
export async function runTool(argv: readonly string[], host: Host): Promise<number> {
  const line = parseLine(argv);
  const tool = new Tool(host, line.options, OBJECTS);
  const status = await run(tool, line);
  if (tool.json) tool.print('\n');
  await tool.flush();
  return status & 0xff;
}

async function run(tool: Tool, line: ReturnType<typeof parseLine>): Promise<number> {
  if (line.unrecognized !== undefined) {
    await tool.error(`unrecognized option '${line.unrecognized}'`);
    if (!tool.json) await tool.usage(OBJECTS);
    return FAILED;
  }
  if (line.helpRequested) {
    await tool.usage(OBJECTS);
    return 0;
  }
  const wrong = wrongSigning(line.options);
  if (wrong !== undefined) {
    await tool.error(wrong);
    return statusOfErrno(22);
  }
  if (line.versionRequested) return (await versionCommand.run(tool, new Arguments([]))) ?? 0;
  return runCommand(tool, OBJECTS, new Arguments(line.words));
}

function wrongSigning({ sign, privateKey, certificate }: ToolOptions): string | undefined {
  if (sign && (privateKey === undefined || certificate === undefined)) {
    return '-i <identity_x509_cert> and -k <private_key> must be supplied with -S for signing';
  }
  if (!sign && (privateKey !== undefined || certificate !== undefined)) {
    return '--sign (or -S) must be explicitly passed with -i <identity_x509_cert> and -k <private_key> to sign the programs';
  }
  return undefined;
}
