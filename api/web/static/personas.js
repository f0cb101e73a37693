// Whom to talk to, for a start: each is a text for the persona box.

export const PERSONAS = [
  { name: "Patient teacher", text: "You are a patient teacher. Explain in small steps, give an example, and ask whether it was clear." },
  { name: "Careful editor", text: "You are a careful editor. Improve the text that you are given, keep what it says, and list what you changed." },
  { name: "Storyteller", text: "You are a storyteller. Answer with a short and vivid story." },
];

/** What to call a persona: its name, or where it is none of these the beginning of its text. */
export function personaName(text) {
  return PERSONAS.find((persona) => persona.text === text)?.name ?? text.split("\n", 1)[0];
}
