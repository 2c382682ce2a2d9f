// A graph as a picture: Graphviz draws the vectors, resvg the dots.

import { ToolError } from '../tool-error.js';
import { optional } from './machine-code.js';

/** Graphviz knows how wide its letters are, and on every machine a font is as wide. */
const FONT = 'Courier';

/** DOT as SVG. */
export async function drawSvg(dot: string): Promise<string> {
  const { instance } = await optional(() => import('@viz-js/viz'), '@viz-js/viz', 'drawing a graph');
  const font = { fontname: FONT };
  const result = (await instance()).render(dot, {
    format: 'svg',
    engine: 'dot',
    nodeAttributes: font,
    graphAttributes: font,
  });
  if (result.status === 'success') return result.output;
  throw new ToolError(`the graph cannot be drawn: ${result.errors.map(({ message }) => message).join('; ')}`);
}

/** DOT as PNG, as large as the drawing is. Text is written with the fonts of this machine. */
export async function drawPng(dot: string): Promise<Uint8Array> {
  const svg = await drawSvg(dot);
  const { Resvg } = await optional(() => import('@resvg/resvg-js'), '@resvg/resvg-js', 'a picture as PNG');
  const font = { loadSystemFonts: true };
  if (!new Resvg(PROBE, { font }).getBBox()) {
    throw new ToolError('this machine has no fonts to write text in a PNG with; an SVG needs none');
  }
  // Where that font is not, another one of this kind is.
  const text = svg.replaceAll(/font-family="[^"]*"/g, 'font-family="monospace"');
  return new Uint8Array(new Resvg(text, { font, background: 'white' }).render().asPng());
}

/** Nothing but a letter. */
const PROBE =
  '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text x="0" y="9" font-family="monospace">x</text></svg>';
