// What is said where the real kernel cannot be used.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { expect, test } from 'vitest';
import { Errno } from '../bpf/errno.js';
import { refusal, unprivilegedBpf } from './native.js';

test.each([
  [
    Errno.EPERM,
    false,
    'forbidden',
    /only root, or whoever has CAP_BPF.*unprivileged_bpf_disabled is on, forbidden\)/,
    /sudo/,
  ],
  [Errno.EPERM, false, 'allowed', /only root, or whoever has CAP_BPF, use BPF$/, /sudo/],
  [Errno.EPERM, true, 'forbidden', /although it is root/, /container.*capabilities.*ulimit -l/],
  [Errno.ENOSYS, true, undefined, /built without BPF/, /CONFIG_BPF_SYSCALL/],
  [Errno.ENOMEM, true, 'forbidden', /refuses the simplest map \(errno ENOMEM\)/, /^$/],
] as const)(
  'errno %i (root: %s, others: %s) is one sentence and what to do',
  (errno, root, others, message, hint) => {
    const error = refusal(errno, root, others);
    expect(error.message.replaceAll('\n', ' ')).toMatch(message);
    expect(error.hint ?? '').toMatch(hint);
  },
);

const root = process.platform === 'linux' && process.getuid?.() === 0;

// Somebody without rights on a machine that has the kernel: the process gives its own away.
test.skipIf(!root)('whoever has no rights is told so when the kernel is opened', () => {
  const { outputFiles } = buildSync({
    entryPoints: [fileURLToPath(new URL('kernel.ts', import.meta.url))],
    bundle: true,
    platform: 'node',
    format: 'esm',
    write: false,
  });
  const library = `data:text/javascript,${encodeURIComponent(
    // A module without a place in the file system is given what it would look for there.
    (outputFiles[0]?.text ?? '').replaceAll('createRequire(import.meta.url)', '(() => globalThis.koffi)'),
  )}`;
  const script = `
    import { createRequire } from 'node:module';
    globalThis.koffi = createRequire(process.cwd() + '/')('koffi');
    process.setgid(65534);
    process.setuid(65534);
    const { LinuxKernel } = await import(${JSON.stringify(library)});
    try {
      new LinuxKernel();
      console.log('it opened');
    } catch (error) {
      console.log(error.message + ' | ' + error.hint);
    }`;
  const said = execFileSync(process.execPath, ['--input-type=module'], { input: script, encoding: 'utf8' });
  expect(said).toMatch(
    unprivilegedBpf() === 'allowed' ? /^it opened/ : /^Linux's kernel lets only root.*sudo/,
  );
});
