// `gen`: files made from objects: one object of several, the kernel's types that they need, code to load them with.

import type { CommandTable } from '../tool.js';
import { helpCommand, SPEC_OPTIONS, usageText } from '../usage.js';
import { minimizeCommand } from './min-core-btf.js';
import { linkCommand } from './object.js';
import { skeletonCommand, subskeletonCommand } from './skeleton.js';

export const genCommands: CommandTable = {
  commands: [
    { name: 'object', run: linkCommand },
    { name: 'skeleton', run: skeletonCommand },
    { name: 'subskeleton', run: subskeletonCommand },
    { name: 'min_core_btf', run: minimizeCommand },
    helpCommand,
  ],
  usage: usageText([
    '% gen object OUTPUT_FILE INPUT_FILE [INPUT_FILE...]',
    '% gen skeleton FILE [name OBJECT_NAME]',
    '+                  [language { c | ts }]',
    '% gen subskeleton FILE [name OBJECT_NAME]',
    '% gen min_core_btf INPUT OUTPUT OBJECT [OBJECT...]',
    '% gen help',
    '',
    `${SPEC_OPTIONS} |`,
    '             {-L|--use-loader} | [ {-S|--sign } {-k} <private_key.pem> {-i} <certificate.x509> ]}',
  ]),
};
