import { defineConfig } from 'vite';

// The built files are committed and embedded by internal/console, so that the
// server is built with Go alone. Everything is addressed relative to the page,
// which may live below a path prefix (ROOT_URL).
export default defineConfig({
  base: './',
  build: {
    outDir: '../internal/console/dist',
    emptyOutDir: true,
    assetsDir: 'console',
    target: 'es2022',
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/api': 'http://localhost:3000', '/websocket': { target: 'ws://localhost:3000', ws: true } } },
});
