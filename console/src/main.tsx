import { render } from 'preact';
import '@picocss/pico/css/pico.min.css';
import './styles.css';
import { App } from './app';

const root = document.getElementById('app');
if (root) {
  root.replaceChildren();
  render(<App />, root);
}
