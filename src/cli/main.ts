#!/usr/bin/env node
// The command `skep`. What a command line asks for is loaded when it is known, so that a small question is answered at
// once.

// `skep run ... | head` closes our output early: that is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

await (await import('./commands.js')).runCommand(process.argv.slice(2));
