// Accounts: the list, an account, a new one.
import { usePath } from '../../router';
import { List } from './list';
import { One } from './one';
import './users.css';

export function Users() {
  const id = named(usePath().split('/')[2] ?? '');
  return id ? <One key={id} id={id} /> : <List />;
}

/** The id in an address; anybody may write one, so that it may be no encoding at all. */
function named(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
