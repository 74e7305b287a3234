import { tryParseJSONC } from '@graphiql/react';

/**
 * The header editor's text with `authorization` in it, or without one if that is empty.
 * Text that is not valid, or holds an Authorization that was not `issued` here, stays as it is.
 */
export function withAuthorization(text, authorization, issued) {
  let headers;
  try {
    headers = tryParseJSONC(text) ?? {};
  } catch {
    return text;
  }
  const name = Object.keys(headers).find((key) => key.toLowerCase() === 'authorization');
  const present = headers[name] ?? '';
  if (present === authorization || (present && !issued(present))) return text;

  const { [name]: _, ...others } = headers;
  const merged = authorization ? { ...others, Authorization: authorization } : others;
  return Object.keys(merged).length ? JSON.stringify(merged, null, 2) : '';
}
