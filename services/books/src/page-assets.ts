/**
 * Style and script of the page, in it as they stand here. No build step, no external file, and the script is not needed: it
 * keeps the counters live and opens all entries at once.
 */

export const STYLE = `
:root{color-scheme:light dark;--bg:#f7f6f3;--card:#fff;--ink:#1d1d1b;--dim:#6d6b66;--line:#e4e1da;--accent:#1f6f54;--minus:#a2402b;--soft:#f0eee8;
--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
@media(prefers-color-scheme:dark){:root{--bg:#141513;--card:#1c1e1b;--ink:#eceae4;--dim:#98968e;--line:#2f322d;--accent:#6fcfa6;--minus:#f0957f;--soft:#242722}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;-webkit-font-smoothing:antialiased}
main,header>div{max-width:72rem;margin:0 auto;padding:0 1.5rem}
header{border-bottom:1px solid var(--line);background:var(--card)}
header>div{display:flex;flex-wrap:wrap;align-items:center;gap:.75rem 2.5rem;padding-top:1.1rem;padding-bottom:1.1rem}
h1{font-size:1.15rem;letter-spacing:-.01em;margin:0;font-weight:650}
h1 a{color:inherit;text-decoration:none}
h1 small{color:var(--dim);font-weight:400;margin-left:.5rem}
h2{font-size:.95rem;margin:2.4rem 0 .75rem;font-weight:620;display:flex;align-items:baseline;gap:.75rem}
h2.title{font-size:1.45rem;letter-spacing:-.015em;flex-wrap:wrap;margin:.6rem 0 0}
h2 small,.dim{color:var(--dim);font-weight:400;font-size:.85rem;letter-spacing:0}
dl.counters{display:flex;flex-wrap:wrap;gap:.4rem 2rem;margin:0 0 0 auto}
dl.counters div{min-width:4.5rem}
dl.counters dt{color:var(--dim);font-size:.72rem;text-transform:uppercase;letter-spacing:.06em}
dl.counters dd{margin:0;font-size:1.25rem;font-weight:600;font-variant-numeric:tabular-nums;letter-spacing:-.01em}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;overflow:hidden}
.scroll{overflow-x:auto}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;margin-top:1.5rem}
.cards .card{padding:.9rem 1.1rem}
.cards dt{color:var(--dim);font-size:.8rem}.cards dd{margin:.15rem 0 0;font-size:1.25rem;font-weight:600;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
dl{margin:0}
table{width:100%;border-collapse:collapse}
th{font-size:.75rem;font-weight:550;color:var(--dim);text-align:left;padding:.6rem 1.1rem;border-bottom:1px solid var(--line);white-space:nowrap}
td{padding:.55rem 1.1rem;border-bottom:1px solid var(--line);vertical-align:baseline}
tbody tr:last-child td{border-bottom:0}
tbody tr:hover{background:var(--soft)}
tfoot td{border-top:1px solid var(--line);border-bottom:0;padding-top:.45rem;padding-bottom:.45rem}
tfoot tr.total td{font-weight:650}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.minus{color:var(--minus)}.zero{color:var(--dim);font-weight:400}
.unit{color:var(--dim);font-weight:400;font-size:.8em}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
.id{overflow-wrap:anywhere}td.id{min-width:7rem}
details{border-bottom:1px solid var(--line)}details:last-child{border-bottom:0}
summary{display:grid;grid-template-columns:1.1rem minmax(0,4fr) minmax(0,5fr) minmax(9rem,3fr);gap:.75rem;align-items:baseline;padding:.6rem 1.1rem;cursor:pointer;list-style:none}
summary::-webkit-details-marker{display:none}
summary::before{content:"";width:.42rem;height:.42rem;border:solid var(--dim);border-width:0 1.5px 1.5px 0;transform:rotate(-45deg);align-self:center}
details[open]>summary::before{transform:rotate(45deg)}
summary:hover{background:var(--soft)}
summary b{font-weight:600;text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
summary .what{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
ol.sum{margin:0;padding:.35rem 1.1rem 1rem 2.95rem;list-style:none;font:13px/1.65 var(--mono);overflow-wrap:anywhere}
ol.sum li:last-child{border-top:1px solid var(--line);margin-top:.35rem;padding-top:.35rem;font-weight:600}
.tag{display:inline-block;font-size:.75rem;line-height:1.4;padding:.05rem .5rem;border-radius:99px;background:var(--soft);color:var(--dim);white-space:nowrap}
.tag.success,.tag.final{color:var(--accent)}.tag.failure{color:var(--minus)}
.empty{margin:0;padding:1.1rem;color:var(--dim)}
nav{margin-top:1.4rem;font-size:.9rem}
nav a+a{margin-left:1rem}nav.back{font-size:.85rem}nav+.card{margin-top:.75rem}nav a[aria-current]{color:var(--ink);font-weight:600}
button{font:inherit;font-size:.82rem;color:var(--accent);background:none;border:0;padding:0;cursor:pointer}
footer{color:var(--dim);font-size:.82rem;padding:2.5rem 0 3rem}
@media(max-width:40rem){main,header>div{padding-left:1rem;padding-right:1rem}td,th{padding-left:.8rem;padding-right:.8rem}
.cards{grid-template-columns:repeat(auto-fit,minmax(8rem,1fr))}.cards .card{padding:.7rem .8rem}.cards dd{font-size:1.05rem}summary{grid-template-columns:1.1rem minmax(0,1fr) auto}summary .why{display:none}dl.counters{margin-left:0}}
`;

export const SCRIPT = `
const group=n=>String(n).replace(/\\B(?=(\\d{3})+$)/g,",");
let last;
async function poll(){
  try{
    const answer=await fetch("/v1/totals?limit=1",{headers:{accept:"application/json"}});
    if(answer.ok){
      const t=await answer.json(),at=performance.now(),events=t.facts+t.signals+t.verdicts;
      const shown={facts:t.facts,entries:t.entries,accounts:t.accountCount,parked:t.parked,rate:last?Math.max(0,Math.round((events-last.events)*1000/(at-last.at))):0};
      for(const [name,value] of Object.entries(shown)){const place=document.querySelector("[data-counter="+name+"]");if(place)place.textContent=group(value)}
      last={events,at};
    }
  }catch{}
  setTimeout(poll,2000);
}
poll();
for(const button of document.querySelectorAll("button[data-unfold]")){
  button.hidden=false;
  button.addEventListener("click",()=>{
    const all=[...document.getElementById(button.dataset.unfold).querySelectorAll("details")],open=all.some(d=>!d.open);
    for(const d of all)d.open=open;
    button.textContent=open?"fold all":"unfold all";
  });
}
`;
