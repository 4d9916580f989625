/* Draws the output type of a living run in JupyterLab and Notebook 7. No build makes this file: it is the container
   that JupyterLab loads a prebuilt extension by, written by hand. `live.js` and `card.css` are installed beside it.

   A notebook may come from anybody, trusted or not: of what it holds, only an id that looks like one reaches the
   server, in a question; everything else becomes text on the page. Nothing is asked of a run but by a click. */

(() => {
  const MIME = "application/vnd.ft-notebook.live+json";
  const RUN_ID = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
  const here = document.currentScript.src;
  const besides = (name) => new URL(name, here).href;
  let shared = null;      // the modules that JupyterLab shares with its extensions
  let drawing = null;     // the promise of live.js with its style in the page

  function loadDrawing() {
    drawing ??= import(besides("live.js")).then(async (live) => {
      await addStyle(besides("card.css"));
      return live;
    });
    return drawing;
  }

  function addStyle(href) {
    return new Promise((resolve) => {
      const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
      link.onload = link.onerror = resolve;     // without its style the view still reads
      document.head.append(link);
    });
  }

  /** Of an output's data: the run's id and, where it is of that run, the state at that moment; null if it is neither. */
  function read(data) {
    if (typeof data?.run_id !== "string" || !RUN_ID.test(data.run_id)) return null;
    const state = data.state;
    if (state?.v !== 1 || state.run?.id !== data.run_id) return { runId: data.run_id, snapshot: null };
    return { runId: data.run_id, snapshot: { ...state, tag: "" } };   // a forged tag would keep the server's own away
  }

  function makeExtension(Widget) {
    class LiveOutput extends Widget {
      #runId = null;
      #unmount = null;
      #model = null;        // of the output; the notebook may give a new one for the same output
      #left = null;         // of which moment the notebook holds the run's last output

      async renderModel(model) {
        this.#model = model;
        const given = read(model.data[MIME]);
        if (given === null) {
          this.#say("This output does not name a training run of ft_notebook.");
          return;
        }
        if (given.runId === this.#runId) return;    // drawn already, and kept true by the server
        this.#clear();
        this.#runId = given.runId;
        try {
          const live = await loadDrawing();
          if (!this.isDisposed && this.#runId === given.runId && !this.#unmount) this.#draw(live, given);
        } catch (problem) {
          console.error("ft_notebook:", problem);
          this.#say(`The run ${given.runId} cannot be shown: ft_notebook is not installed whole beside this JupyterLab.`);
        }
      }

      #draw({ mount, serverBase, serverSource }, { runId, snapshot }) {
        const base = serverBase() ?? "/";
        const show = (from) => {
          const source = serverSource({ base, runId, snapshot: from });
          const leave = mount(this.node, source), forget = source.subscribe(() => this.#leaveOutput(source, base));
          this.#unmount = () => {
            leave();
            forget();
          };
        };
        try {
          show(snapshot);
        } catch (problem) {     // the state in the notebook is none; the server's is
          console.warn("ft_notebook: the saved state of a run cannot be drawn", problem);
          this.node.replaceChildren();
          show(null);
        }
      }

      /** Put what a run that is over leaves into the notebook: its kernel may be gone, or not know of this page. */
      async #leaveOutput({ link, state }, base) {
        if (link !== "live" || !state?.is_over || [this.#left, this.#model.data[MIME]?.state?.tag].includes(state.tag)) return;
        this.#left = state.tag;
        const url = `${base}ft-notebook/api/runs/${encodeURIComponent(this.#runId)}/output`;
        const answer = await fetch(url, { credentials: "same-origin", cache: "no-store" });
        if (answer.ok && !this.isDisposed) this.#model.setData({ data: await answer.json() });
      }

      dispose() {
        if (!this.isDisposed) this.#clear();
        super.dispose();
      }

      #clear() {
        this.#unmount?.();
        this.#runId = this.#unmount = null;
        this.node.replaceChildren();
      }

      #say(sentence) {
        this.#clear();
        this.node.append(Object.assign(document.createElement("p"), { textContent: sentence }));
      }
    }

    return {
      id: "ft-notebook:live",
      description: "Shows a training run of ft_notebook live.",
      rank: -20,      // before the widget of the same output, which needs its kernel
      dataType: "json",
      rendererFactory: { safe: true, mimeTypes: [MIME], createRenderer: () => new LiveOutput() },
    };
  }

  /** Puts a recipe that our inspector offers into a new cell below its own; runs nothing. */
  const inserter = {
    id: "ft-notebook:insert-cell",
    description: "Puts the recipe that an inspector of ft_notebook offers into a new cell.",
    autoStart: true,
    activate(app) {
      document.addEventListener("ft-notebook:insert-cell", (event) => {
        const panel = [...app.shell.widgets("main")].find((each) => each.node.contains(event.target));
        const notebook = panel?.content, at = notebook?.widgets?.findIndex((cell) => cell.node.contains(event.target)) ?? -1;
        if (at < 0 || notebook.model?.readOnly || typeof event.detail?.text !== "string") return;
        notebook.model.sharedModel.insertCell(at + 1, { cell_type: "code", source: event.detail.text, metadata: {}, outputs: [] });
        notebook.activeCellIndex = at + 1;
        event.preventDefault();
      });
    },
  };

  /** A module that JupyterLab shares: the version that runs already, since two would not know one another. */
  async function loadShared(name) {
    const versions = Object.values(shared[name] ?? {});
    const chosen = versions.find((version) => version.loaded) ?? versions.at(-1);
    if (!chosen) throw new Error(`This JupyterLab does not share ${name}.`);
    return (await chosen.get())();
  }

  (window._JUPYTERLAB ??= {})["ft-notebook"] = {
    init(scope) {
      shared = scope;
    },
    async get(module) {
      if (module === "./extension") return () => ({ __esModule: true, default: inserter });
      if (module !== "./mimeExtension") throw new Error(`ft-notebook has no module ${module}.`);
      const { Widget } = await loadShared("@lumino/widgets");
      globalThis.ftNotebookRenderer = true;     // what a widget of ours on this page looks for
      return () => ({ __esModule: true, default: makeExtension(Widget) });
    },
  };
})();
