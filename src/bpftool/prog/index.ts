// The commands of `prog`. The code of those that bring much with them is imported when they run.

import { pinAny, takeProg } from '../objects.js';
import type { CommandDefinition, CommandTable } from '../tool.js';
import { helpCommand } from '../usage.js';
import { showProgs } from './show.js';
import { progUsage } from './usage.js';

type Run = CommandDefinition['run'];

const show: Run = async (tool, args) => {
  await showProgs(tool, args);
  return 0;
};

const load =
  (all: boolean): Run =>
  async (tool, args) => {
    await (await import('./load.js')).loadProgs(tool, args, all);
    return 0;
  };

export const progCommands: CommandTable = {
  commands: [
    { name: 'show', run: show },
    { name: 'list', run: show },
    helpCommand,
    {
      name: 'dump',
      run: async (tool, args) => {
        await (await import('./dump.js')).dumpProgs(tool, args);
        return 0;
      },
    },
    {
      name: 'pin',
      run: async (tool, args) => {
        await pinAny(tool, args, takeProg);
        return 0;
      },
    },
    { name: 'load', run: load(false) },
    { name: 'loadall', run: load(true) },
    {
      name: 'attach',
      run: async (tool, args) => {
        await (await import('./attach.js')).attachProg(tool, args);
        return 0;
      },
    },
    {
      name: 'detach',
      run: async (tool, args) => {
        await (await import('./attach.js')).detachProg(tool, args);
        return 0;
      },
    },
    {
      name: 'tracelog',
      run: async (tool, args) => (await import('./tracelog.js')).traceLog(tool, args),
    },
    { name: 'run', run: async (tool, args) => (await import('./run.js')).runProg(tool, args) },
    {
      name: 'profile',
      run: async (tool, args) => {
        await (await import('./profile.js')).profileProg(tool, args);
        return 0;
      },
    },
  ],
  usage: progUsage,
};
