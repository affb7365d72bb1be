import { defineConfig } from 'vite'

// The API answers no other origin unless DASHTAM_CORS__ORIGINS lists it, so browsers reach it through the origin that served the page: this proxy here, the reverse
// proxy in front of both in production.
const proxy = { '/graphql': { target: process.env.DASHTAM_URL ?? 'http://127.0.0.1:8080', changeOrigin: true } }

export default defineConfig({
  server: { host: '127.0.0.1', port: 5173, strictPort: true, proxy },
  preview: { host: '127.0.0.1', port: 5173, strictPort: true, proxy },
  build: { rolldownOptions: { input: ['index.html', 'linked.html'] } },
})
