import { options, render } from 'preact';
import '@picocss/pico/css/pico.min.css';
import './styles.css';
import { App } from './app';

// Effects run in the turn that drew the page, not some frames later: whatever a person does with what is on the screen
// finds them done. On a busy machine a late one would take away what was typed meanwhile.
options.requestAnimationFrame = queueMicrotask;

const root = document.getElementById('app');
if (root) {
  root.replaceChildren();
  render(<App />, root);
}
