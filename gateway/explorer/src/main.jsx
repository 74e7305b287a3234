import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import '@graphiql/plugin-explorer/style.css';
import './page.css';
import { createRoot } from 'react-dom/client';
import { Page } from './Page.jsx';
import { session } from './session.js';
import { uploads } from './uploads.js';

session.restore();
uploads.restore();
createRoot(document.getElementById('page')).render(<Page />);
