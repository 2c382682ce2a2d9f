#!/usr/bin/env node
// The command `skep`. What a command line asks for is loaded when it is known, so that a small question is answered at
// once.

import { toolLine } from './tool-line.js';

// `skep run ... | head` closes our output early: that is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

const argv = process.argv.slice(2);
const line = toolLine(argv, process.argv[1] ?? '');
if (line) await (await import('./tool.js')).runToolLine(line);
else {
  // Packages that are CommonJS ask for Node's own modules by `require`, which a bundle of ES modules does not have.
  const { createRequire } = await import('node:module');
  globalThis.require ??= createRequire(import.meta.url);
  await (await import('./commands.js')).runCommand(argv);
}
