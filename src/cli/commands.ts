// Skep's own commands: arguments in, the right one loaded and started. A command's code is imported only when it
// runs, so that a small question is answered at once.

import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { skepVersion } from '../node/version.js';
import type { CompareCommandOptions } from './compare.js';
import type { ConformanceOptions } from './conformance.js';
import { addDevCommand } from './dev-command.js';
import type { DoctorOptions } from './doctor.js';
import { failExplained, UsageError } from './errors.js';
import { addFileCommands } from './file-command.js';
import type { InspectOptions } from './inspect.js';
import { addKernelCommand } from './kernel-command.js';
import type { ObjdumpOptions } from './objdump.js';
import { wholeNumber } from './options.js';
import type { RunCommandOptions } from './run.js';
import type { VerifyCommandOptions } from './verify.js';

/** One of some numbers. */
const choiceOfNumbers =
  (numbers: readonly number[]) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && numbers.includes(value)) return value;
    throw new InvalidArgumentError(`It must be one of ${numbers.join(', ')}.`);
  };

/** The values of an option that may be repeated. */
const appended = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

const engineOption = (): Option =>
  new Option('--engine <engine>', 'how programs run').choices(['jit', 'interpreter']).default('jit');

const SETTING =
  'set a global variable before the object is loaded; may be repeated. VALUE is a number, true or false, the name ' +
  'of an enumerator, text for a char array, or JSON for an array or struct; NAME may go on with .member and [index]';

/** Options that say something of the emulated kernel alone. */
const EMULATED_ONLY = ['engine', 'cpus', 'unverified', 'budget', 'clock'];

function refuseForLinux(command: Command): void {
  const given = EMULATED_ONLY.find((name) => command.getOptionValueSource(name) === 'cli');
  if (given === undefined) return;
  throw new UsageError(`--${given} is an option of the emulated kernel, not of --kernel linux`, {
    hint: 'Leave one of the two out.',
  });
}

const program = new Command('skep');

function addCommand(name: string): Command {
  return program
    .command(name)
    .configureHelp({ showGlobalOptions: false })
    .allowExcessArguments(false)
    .showHelpAfterError(false);
}

program
  .description(
    'eBPF without Linux: verifies, runs and inspects the objects that clang makes for the kernel, and is bpftool.',
  )
  .version(skepVersion(), '--version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .helpCommand('help [command]', 'print the help of a command')
  .exitOverride()
  .configureOutput({
    outputError(text, write) {
      const name = process.argv[2] ?? '';
      const path = program.commands.some((command) => command.name() === name) ? ` ${name}` : '';
      write(`skep: ${text.replace(/^error: /, '').trimEnd()}\n      Try: skep${path} --help\n`);
    },
  })
  .addHelpText(
    'after',
    `
bpftool's commands (skep prog help, ...):
  prog, map, link, cgroup, perf, net, feature, btf, gen, struct_ops, iter, token, batch, version
  They talk to the kernel that stays; to another one with --kernel NAME, to that of this machine with --kernel linux.

Examples:
  $ skep run firewall.bpf.o --pcap traffic.pcapng --set blocked_port=443
  $ skep verify firewall.bpf.o
  $ skep prog load firewall.bpf.o /sys/fs/bpf/firewall
  $ skep dev add eth0 && skep net attach xdp name firewall dev eth0`,
  );

addCommand('run')
  .summary('run an XDP program on a packet capture')
  .description(
    'Runs an XDP program on every packet of a capture (pcap or pcapng) and prints the verdicts, the time a packet ' +
      'took, what bpf_printk wrote, and all maps and global variables.',
  )
  .argument('<object>', 'object file that clang made for BPF (prog.bpf.o)')
  .requiredOption('--pcap <file>', 'capture to read; - for standard input')
  .option('--program <name>', 'which program, when the object has several')
  .addOption(
    new Option('--kernel <kernel>', 'where programs run: emulated, or the Linux kernel of this machine')
      .choices(['emulated', 'linux'])
      .default('emulated'),
  )
  .addOption(engineOption())
  .option('--out <file>', 'write the packets as the program left them, as pcapng with the verdict of each')
  .option('--keep-dropped', 'write dropped and aborted packets to --out too')
  .option('--set <name=value>', SETTING, appended)
  .option('--cpus <n>', 'possible CPUs: values that a per-CPU map has for a key', wholeNumber(1, 1024), 1)
  .option(
    '--unverified',
    'run also what the verifier refuses: each access is checked while the program runs, and a wrong one ends that run',
  )
  .option(
    '--budget <n>',
    'with --unverified: instructions that one run may take in programs that loop before it is ended',
    wholeNumber(1, 0x7fffffff),
  )
  .option('--limit <n>', 'stop after so many packets', wholeNumber(0, Number.MAX_SAFE_INTEGER))
  .option('--trace <n>', 'keep so many lines of bpf_printk', wholeNumber(0, 10_000_000), 20)
  .option('--no-trace', 'keep no line of bpf_printk')
  .addOption(
    new Option(
      '--clock <clock>',
      'what bpf_ktime_get_ns follows: the time since the first packet, or the host',
    )
      .choices(['capture', 'real'])
      .default('capture'),
  )
  .option('--all-entries', 'print all entries of every map')
  .option('--log', "print the verifier's log as well when it refuses the program")
  .option('--json', 'print one JSON document with everything; integers beyond 2^53 are decimal strings')
  .addHelpText(
    'after',
    `
Examples:
  $ skep run firewall.bpf.o --pcap traffic.pcapng --set blocked_port=443
  $ skep run loadbalancer.bpf.o --program loadbalancer --pcap in.pcapng --out out.pcapng
  $ skep run loadbalancer.bpf.o --program loadbalancer --pcap in.pcapng --set 'backends[0].mac=[2,0,0,0,1,9]'
  $ tcpdump -c 1000 -w - | skep run hello.bpf.o --pcap - --json
  $ sudo skep run firewall.bpf.o --pcap traffic.pcapng --kernel linux`,
  )
  .action(async (object: string, options: RunCommandOptions, command: Command) => {
    if (options.kernel === 'linux') refuseForLinux(command);
    if (options.budget !== undefined && !options.unverified) {
      throw new UsageError('--budget ends runs of programs that were not verified', {
        hint: 'Add --unverified, or leave it out: what the verifier takes comes to its end.',
      });
    }
    await (await import('./run.js')).run(object, options);
  });

addCommand('verify')
  .summary("show what Linux's verifier says to the programs of objects, and why")
  .description(
    'Verifies every program of each object as Linux 6.18 does when it is loaded, and explains what is refused: the place in ' +
      'the source, the way there, what was asked and what was found. Exit status 0: all are accepted; 1: one is not; ' +
      '2: something could not be read.',
  )
  .argument('<object...>', 'object files that clang made for BPF (prog.bpf.o)')
  .option('--program <name>', 'only this program')
  .option('--type <type>', 'what the programs are whose section does not say it, as SEC() names it: tc')
  .option('--set <name=value>', SETTING, appended)
  .addOption(
    new Option(
      '--log-level <level>',
      "print the verifier's log as well: 1 the path that is refused, 2 every instruction, 4 figures, 6 all",
    ).argParser(choiceOfNumbers([0, 1, 2, 4, 6])),
  )
  .option('--kernel-version <version>', 'judge as an older Linux: what it does not have yet is refused')
  .option('--btf <file>', "the kernel's types, in place of those of Linux 6.18: /sys/kernel/btf/vmlinux")
  .option('--cpus <n>', 'possible CPUs of the kernel', wholeNumber(1, 1024), 1)
  .option('--json', 'print one JSON document')
  .addHelpText(
    'after',
    `
Examples:
  $ skep verify firewall.bpf.o
  $ skep verify *.bpf.o --json
  $ skep verify firewall.bpf.o --program firewall --log-level 2
  $ skep verify firewall.bpf.o --kernel-version 5.15`,
  )
  .action(async (objects: string[], options: VerifyCommandOptions) => {
    await (await import('./verify.js')).verifyCommand(objects, options);
  });

addCommand('compare')
  .summary('run an XDP program in the emulated kernel and in Linux, and show every difference')
  .description(
    'Loads an object into the emulated kernel and into the Linux kernel of this machine, gives both every packet of a ' +
      'capture, and compares the verdict of the load, return values, packets, contexts, maps, variables and what ' +
      'bpf_printk wrote. Exit status 0: no difference; 1: there are some; 2: they could not be compared.',
  )
  .argument('<object>', 'object file that clang made for BPF (prog.bpf.o)')
  .requiredOption('--pcap <file>', 'capture to read; - for standard input')
  .option('--program <name>', 'which program, when the object has several')
  .addOption(engineOption())
  .option('--set <name=value>', SETTING, appended)
  .option('--count <n>', 'stop after so many packets', wholeNumber(0, Number.MAX_SAFE_INTEGER))
  .option(
    '--each',
    'compare the maps after every packet, not only after the last: says which one made a difference',
  )
  .option(
    '--may-differ <what>',
    'what cannot be the same, such as a time: retval, packet, context, trace, a map, MAP.member or a variable; it is ' +
      'counted apart; may be repeated',
    appended,
  )
  .option('--log', "compare the verifiers' logs of what both kernels refuse")
  .option('--json', 'print one JSON document with everything; integers beyond 2^53 are decimal strings')
  .addHelpText(
    'after',
    `
Examples:
  $ sudo skep compare firewall.bpf.o --pcap traffic.pcapng --set blocked_port=443
  $ sudo skep compare ratelimit.bpf.o --pcap traffic.pcapng --set packets_per_second=0 --may-differ buckets.refilled_at`,
  )
  .action(async (object: string, options: CompareCommandOptions) => {
    await (await import('./compare.js')).compareCommand(object, options);
  });

addCommand('inspect')
  .summary('show what an object file holds')
  .description(
    'Shows what an object file holds: programs with their tags, maps, variables, externs, licence, BTF and sizes.',
  )
  .argument('<object>', 'object file that clang made for BPF (prog.bpf.o)')
  .option('--json', 'print one JSON document; integers beyond 2^53 are decimal strings')
  .addHelpText('after', '\nExample:\n  $ skep inspect firewall.bpf.o')
  .action(async (object: string, options: InspectOptions) => {
    await (await import('./inspect.js')).inspect(object, options);
  });

addCommand('objdump')
  .summary('disassemble an object file')
  .description('Disassembles the instructions of an object file, as llvm-objdump -d prints them.')
  .argument('<object>', 'object file that clang made for BPF (prog.bpf.o)')
  .option('-S, --source', 'print source lines between the instructions')
  .option('-j, --section <name>', 'only this section; may be repeated', appended)
  .addHelpText(
    'after',
    `
Source lines are those of the source file where DWARF names one that can be read from here, as in llvm-objdump,
otherwise those that BTF has kept.

Examples:
  $ skep objdump firewall.bpf.o
  $ skep objdump -S --section xdp firewall.bpf.o`,
  )
  .action(async (object: string, options: ObjdumpOptions) => {
    await (await import('./objdump.js')).objdump(object, options);
  });

addCommand('doctor')
  .summary('show what this machine can do')
  .description(
    'Shows what this machine can do: Node, what of WebAssembly Skep uses, the tools that make and show BPF objects, ' +
      'the kernel, the rights to use its BPF, and what to do for what is missing.',
  )
  .option('--json', 'print one JSON document')
  .addHelpText('after', '\nExample:\n  $ skep doctor')
  .action(async (options: DoctorOptions) => {
    await (await import('./doctor.js')).doctor(options);
  });

addCommand('conformance')
  .summary('run bare instructions: the plug-in of the BPF conformance suite')
  .description(
    'Runs the instructions on standard input (hexadecimal bytes) over a memory (r1 is its address, r2 its length in ' +
      'bytes) and prints r0 in hexadecimal: the plug-in process of the BPF conformance project.',
  )
  .argument('[memory]', 'the memory, as hexadecimal bytes')
  .addOption(engineOption())
  .option('--program <hex>', 'the instructions, in place of standard input')
  .option('--elf', 'standard input is an object file in hexadecimal; its first function is run')
  .option('--debug', 'accepted for the suite; errors are always told')
  .addHelpText(
    'after',
    `
Examples:
  $ echo 'b7 00 00 00 2a 00 00 00 95 00 00 00 00 00 00 00' | skep conformance
  $ echo '71 10 00 00 00 00 00 00 95 00 00 00 00 00 00 00' | skep conformance '7f 00' --engine interpreter
  $ bpf_conformance_runner --test_file_directory tests --plugin_path skep --plugin_options 'conformance'`,
  )
  .action(async (memory: string | undefined, options: ConformanceOptions) => {
    await (await import('./conformance.js')).conformance(memory, options);
  });

addCommand('completion')
  .summary('print what makes a shell complete command lines of skep')
  .description(
    'Prints a script for a shell, which then completes commands, options, the words of the grammar, and the names and ids of ' +
      'what is in the kernel.',
  )
  .argument('<shell>', 'bash, zsh or fish')
  .argument('[words...]', 'what the script asks for: `words -- WORD...`')
  .addHelpText(
    'after',
    `
Examples:
  $ source <(skep completion bash)
  $ skep completion zsh > ~/.zfunc/_skep
  $ skep completion fish > ~/.config/fish/completions/skep.fish`,
  )
  .action(async (shell: string, words: string[]) => {
    await (await import('./completion.js')).completion(shell, words, program);
  });

addDevCommand(addCommand);
addKernelCommand(addCommand);
addFileCommands(addCommand);

/**
 * The conformance suite's runner puts the memory before the options that it is told to pass, and `--kernel NAME` may stand
 * before the command, as it may in bpftool's grammar.
 */
function argumentsInOrder(argv: readonly string[]): string[] {
  const [first = '', second = '', third, ...rest] = argv;
  if (second === 'conformance' && /^[0-9a-f\s]*$/i.test(first)) return [second, first, ...argv.slice(2)];
  if (first.startsWith('--kernel=') && second !== '') return [second, first, ...argv.slice(2)];
  if (first === '--kernel' && third !== undefined) return [third, first, second, ...rest];
  return [...argv];
}

/** Runs a command line, without the name of the program. What goes wrong is told, and is the exit status. */
export async function runCommand(argv: readonly string[]): Promise<void> {
  try {
    await program.parseAsync(argumentsInOrder(argv), { from: 'user' });
  } catch (error) {
    // Commander has already printed what it has to say.
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else
      await failExplained(error, {
        log: program.commands.some((command) => command.getOptionValue('log') === true),
      });
  }
}
