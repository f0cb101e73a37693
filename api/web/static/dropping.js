// Files that are dropped on the page.

const holdsFiles = (event) => event.dataTransfer?.types.includes("Files") ?? false;

/** Take files that are dropped on `target`; while they are above it, it has the class `dropping`. */
export function dropFiles(target, take) {
  const show = (isAbove) => target.classList.toggle("dropping", isAbove);
  target.addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    show(true);
  });
  target.addEventListener("dragleave", (event) => {
    if (!target.contains(event.relatedTarget)) show(false);
  });
  target.addEventListener("drop", (event) => {
    show(false);
    if (!holdsFiles(event)) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
}

/** Elsewhere a browser would leave the page and open the file. */
export function keepFilesOut() {
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => {
      if (!holdsFiles(event) || event.defaultPrevented) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "none";
    });
  }
}
