// Whether a log holds the expected texts: each is searched behind the match of the one before (test_loader.c's rule).

/** A pattern is text with `{{regular expression}}` parts. */
function pattern(text) {
  const parts = text.split(/\{\{|\}\}/);
  // POSIX's names of character classes inside brackets.
  const classes = { alpha: 'a-zA-Z', digit: '0-9', alnum: 'a-zA-Z0-9', xdigit: '0-9a-fA-F', space: '\\s' };
  const source = parts.map((part, i) =>
    i % 2 === 0
      ? part.replace(/[.[\]\\()*+?{}|^$]/g, '\\$&')
      : part.replace(/\[:(\w+):\]/g, (_, name) => classes[name]),
  );
  return new RegExp(source.join(''), 'm');
}

/** The first expected text that the log does not have, or undefined. */
export function missingMessage(log, messages) {
  let rest = log;
  for (const message of messages) {
    if (message.includes('{{')) {
      const match = pattern(message).exec(rest);
      if (!match) return message;
      rest = rest.slice(match.index + match[0].length);
    } else {
      const at = rest.indexOf(message);
      if (at < 0) return message;
      rest = rest.slice(at + message.length);
    }
  }
  return undefined;
}
