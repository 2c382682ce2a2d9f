// The process that a kernel stays in. Its arguments are the kernel's name and its options as JSON; what has become of it is
// one line of JSON on standard output, and what happens later is in its log.

import { SkepError } from '../base/error.js';
import { type Elected, stand } from '../node/election.js';
import { fileError } from '../node/file-error.js';
import { LogFile } from '../node/log-file.js';
import { type KernelPlace, kernelPlace } from '../node/run-directory.js';
import { SocketChannel } from '../node/socket-channel.js';
import { skepVersion } from '../node/version.js';
import { type KernelOptions, type StartReport, usualOptions } from './kernel-options.js';

/** How often it looks whether it can still be found, in milliseconds. */
const LOOK = 30_000;

/** How long it waits for calls that are under way when it ends, in milliseconds. */
const GRACE = 2000;

/** Whoever started us reads one line, and may be gone by then. */
function report(what: StartReport): Promise<void> {
  process.stdout.on('error', () => {});
  return new Promise((resolve) => process.stdout.end(`${JSON.stringify(what)}\n`, () => resolve()));
}

async function serve(place: KernelPlace, options: KernelOptions, elected: Elected): Promise<void> {
  const log = new LogFile(place.log);
  const version = skepVersion();
  const about = { name: place.name, pid: process.pid, version };
  // Only who has become the kernel needs its code.
  const { KernelHost } = await import('./kernel-host.js');
  let isEnding = false;
  const end = async (why: string) => {
    if (isEnding) return;
    isEnding = true;
    log.write(why);
    elected.resign();
    // What clients have under way comes to its end, if that is soon.
    setTimeout(() => process.exit(0), GRACE).unref();
    await host.end();
    process.exit(0);
  };
  process.on('uncaughtException', (error) => {
    log.write(`ended by an error: ${error.stack ?? error.message}`);
    process.exit(1);
  });
  const host = new KernelHost({
    about,
    options,
    socket: place.socket,
    log: place.log,
    note: (text) => log.write(text),
    // Whoever said it gets the answer first.
    stop: () => void setImmediate(() => end('stopped')),
  });
  elected.accept((socket) => host.accept(new SocketChannel(socket)));
  process.on('SIGTERM', () => end('stopped by SIGTERM'));
  process.on('SIGINT', () => end('stopped by SIGINT'));
  process.on('SIGHUP', () => {});
  setInterval(() => {
    if (!elected.hasName() && host.clients === 0) void end('ended: its socket was removed');
  }, LOOK).unref();
  log.write(`started: skep ${version}, pid ${process.pid}, ${JSON.stringify(options)}`);
  await report({ outcome: 'started', pid: process.pid, afterCrash: elected.afterCrash });
}

async function main(name: string, given: string | undefined): Promise<void> {
  process.title = `skep kernel ${name}`;
  try {
    const options: KernelOptions = { ...usualOptions, ...JSON.parse(given ?? '{}') };
    const place = kernelPlace(name);
    const elected = await stand(place).catch((error) => {
      throw fileError(place.directory, error);
    });
    if (!elected) {
      await report({ outcome: 'present' });
      process.exit(0);
    }
    await serve(place, options, elected);
  } catch (error) {
    const { message } = error instanceof Error ? error : new Error(String(error));
    const { where, hint } = error instanceof SkepError ? error : { where: '', hint: '' };
    const plain = where && message.startsWith(`${where}: `) ? message.slice(where.length + 2) : message;
    await report({ outcome: 'failed', message: plain, where, hint });
    process.exit(1);
  }
}

await main(process.argv[2] ?? '', process.argv[3]);
