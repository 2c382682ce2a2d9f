// The words of `skep dev`.

import { type Command, Option } from 'commander';
import type { DevAddOptions, DevCaptureOptions, DevOptions, DevReplayOptions } from './dev.js';
import { kernelOption, wholeNumber } from './options.js';

/** Adds it; `addCommand` makes a command of the program. */
export function addDevCommand(addCommand: (name: string) => Command): void {
  const dev = addCommand('dev')
    .summary('the network around the emulated kernel: devices, packets on them')
    .description(
      'Makes, shows and removes the network devices of the emulated kernel, sends captures into them and records what ' +
        'passes. A device alone has a cable to the world outside; with a peer, what one sends the other receives.',
    );
  const add = (name: string): Command =>
    dev.command(name).allowExcessArguments(false).showHelpAfterError(false).addOption(kernelOption());

  add('add')
    .summary('make a device, or a pair of them')
    .argument('<name>', 'its name: eth0')
    .argument('[peer...]', '`peer NAME`: the other end of its cable')
    .option('--mtu <bytes>', 'what fits behind the Ethernet header', wholeNumber(68, 65535))
    .option('--mac <address>', 'its address: 02:00:00:00:00:01')
    .option('--peer-mac <address>', "the peer's address")
    .option('--queues <n>', 'receive queues', wholeNumber(1, 4096))
    .option('--json', 'print its name and number as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  $ skep dev add eth0\n  $ skep dev add veth0 peer veth1\n  $ skep dev add eth1 --queues 4 --mtu 9000',
    )
    .action(async (name: string, peer: string[], options: DevAddOptions) => {
      await (await import('./dev.js')).devAdd(name, peer, options);
    });

  add('del')
    .alias('delete')
    .summary('remove a device, and its peer')
    .argument('<name>', 'its name')
    .action(async (name: string, options: DevOptions) => {
      await (await import('./dev.js')).devDel(name, options);
    });

  add('list')
    .alias('show')
    .summary('show devices and what they have counted, as `ip -s link` does')
    .argument('[name]', 'only this one')
    .option('--json', 'print one JSON document')
    .action(async (name: string | undefined, options: DevOptions) => {
      await (await import('./dev.js')).devList(name, options);
    });

  add('replay')
    .summary('send the packets of a capture into a device')
    .argument('<name>', 'the device that receives them')
    .argument('<file>', 'capture to read (pcap or pcapng); - for standard input')
    .option('--rate <pps>', 'packets a second; as fast as it goes otherwise', wholeNumber(1, 1_000_000_000))
    .option('--loop', 'again and again, until Ctrl-C')
    .option('--count <n>', 'stop after so many packets', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  $ skep dev replay eth0 traffic.pcapng\n  $ skep dev replay eth0 traffic.pcapng --rate 1000 --loop',
    )
    .action(async (name: string, file: string, options: DevReplayOptions) => {
      await (await import('./dev.js')).devReplay(name, file, options);
    });

  add('capture')
    .summary('record what passes a device, as pcapng')
    .argument('<name>', 'the device')
    .requiredOption('-w, --write <file>', 'where to; - for standard output')
    .addOption(
      new Option(
        '--at <point>',
        'cable: all that comes in, before any program, and all that goes out; stack: what tcpdump would see, ' +
          'behind XDP',
      )
        .choices(['cable', 'stack'])
        .default('cable'),
    )
    .option('--count <n>', 'stop after so many packets', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option('--json', 'say how many as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  $ skep dev capture eth0 -w out.pcapng\n  $ skep dev capture eth0 --at stack -w - | tshark -r -',
    )
    .action(async (name: string, options: DevCaptureOptions) => {
      await (await import('./dev.js')).devCapture(name, options);
    });
}
