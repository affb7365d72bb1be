import { createRoot } from "react-dom/client";
import "graphiql/style.css";
import "./playground.css";
import { Playground } from "./playground.jsx";

createRoot(document.getElementById("playground")).render(<Playground />);
