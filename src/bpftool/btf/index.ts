// `bpftool btf`.

import type { CommandDefinition, CommandTable } from '../tool.js';
import { helpCommand, SPEC_MAP, SPEC_OPTIONS, SPEC_PROGRAM, usageText } from '../usage.js';
import { dumpBtf } from './dump.js';
import { showBtfs } from './show.js';

const show: CommandDefinition['run'] = async (tool, args) => {
  await showBtfs(tool, args);
  return 0;
};

export const btfCommands: CommandTable = {
  commands: [
    { name: 'show', run: show },
    { name: 'list', run: show },
    helpCommand,
    {
      name: 'dump',
      run: async (tool, args) => {
        await dumpBtf(tool, args);
        return 0;
      },
    },
  ],
  usage: usageText([
    '% btf { show | list } [id BTF_ID]',
    '% btf dump BTF_SRC [format FORMAT] [root_id ROOT_ID]',
    '% btf help',
    '',
    'BTF_SRC := { id BTF_ID | prog PROG | map MAP [{key | value | kv | all}] |',
    '             file FILE [file FILE]... }',
    'FORMAT  := { raw | c [unsorted] }',
    SPEC_MAP,
    SPEC_PROGRAM,
    `${SPEC_OPTIONS} |`,
    '             {-B|--base-btf} }',
  ]),
};
