// The commands of `prog`. The code of those that bring much with them is imported when they run.

import { pinAny, takeProg } from '../objects.js';
import type { CommandDefinition, CommandTable } from '../tool.js';
import { helpCommand } from '../usage.js';
import { showProgs } from './show.js';
import { progUsage } from './usage.js';

const show: CommandDefinition['run'] = async (tool, args) => {
  await showProgs(tool, args);
  return 0;
};

export const progCommands: CommandTable = {
  commands: [
    { name: 'show', run: show },
    { name: 'list', run: show },
    helpCommand,
    {
      name: 'pin',
      run: async (tool, args) => {
        await pinAny(tool, args, takeProg);
        return 0;
      },
    },
  ],
  usage: progUsage,
};
