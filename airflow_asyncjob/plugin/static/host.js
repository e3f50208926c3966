// What Airflow's own page shares with the apps of plugins: its React, its router, its components with its
// theme. Nothing of it is loaded again here, so the views are as light as this folder and follow every
// change of colours.
export const { React, ReactRouterDOM: Router, ChakraUI: UI } = globalThis;
export const h = React.createElement;
