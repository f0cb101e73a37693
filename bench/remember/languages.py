"""What the bench's users say, in five languages, one of them without spaces.

Questions use the words that people would use, not those of the statement. `{}` is what is to be
remembered; decoys say the same of somebody else.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing that a user tells, changes, and asks for."""

    told: str
    changed: str
    asked: str
    decoy: str


@dataclass(frozen=True, kw_only=True)
class Language:
    """How users talk, and how the bot replies.

    Args:
        values: what facts are about; no sentence here has any of them.
        subjects: what they talk about otherwise.
        prompts: how; `{}` is a subject.
        sentences: what replies consist of; `{}` is a subject.
        noted: replies to facts.
    """

    name: str
    facts: tuple[Fact, ...]
    values: tuple[str, ...]
    subjects: tuple[str, ...]
    prompts: tuple[str, ...]
    sentences: tuple[str, ...]
    noted: tuple[str, ...]


_NAMES: Final = (
    *("Akiro", "Belmor", "Corvin", "Dalite", "Emrova", "Fandel", "Goriak", "Halvis"),
    *("Ismene", "Jorund", "Kelmar", "Lorvas", "Mirelo", "Nestov", "Orlyn", "Pavrik"),
    *("Quelda", "Rovena", "Selmar", "Tavish", "Ulvane", "Velmor", "Wendra", "Xandor"),
    *("Yarvik", "Zelmira"),
)

ENGLISH: Final = Language(
    name="English",
    facts=(
        Fact(
            told="By the way, my dog is called {}.",
            changed="We gave the dog another name after all, it is {} now.",
            asked="What is my dog's name?",
            decoy="The neighbours' cat is called {}, if you can believe it.",
        ),
        Fact(
            told="My sister has moved to {} for her studies.",
            changed="My sister did not like it there and lives in {} now.",
            asked="Which city does my sister live in?",
            decoy="An old teacher of mine has moved to {}.",
        ),
        Fact(
            told="I am allergic to {}, so be careful with recipes.",
            changed="The doctor says the allergy is against {}, not what I told you.",
            asked="What was my allergy again?",
            decoy="My boss cannot stand {} at all.",
        ),
        Fact(
            told="The password hint for the old server is {}.",
            changed="I have changed the server's password hint to {}.",
            asked="Remind me of the hint for the server password.",
            decoy="The printer in the office answers to {}.",
        ),
        Fact(
            told="Our project at work has the code name {}.",
            changed="Management renamed the project, its code name is {} from now on.",
            asked="What is the code name of our project?",
            decoy="The other team calls theirs {}.",
        ),
        Fact(
            told="My favourite tea is the one from {}.",
            changed="These days I prefer the tea from {}.",
            asked="Which tea do I like best?",
            decoy="My uncle only drinks coffee from {}.",
        ),
        Fact(
            told="I am writing a novel whose hero is {}.",
            changed="The hero of the novel is {} now, I rewrote the chapters.",
            asked="Who is the hero of my novel?",
            decoy="I am reading a comic about a pirate, {}.",
        ),
        Fact(
            told="The appointment with the dentist is with Dr. {}.",
            changed="The dentist's appointment was moved to a colleague, Dr. {}.",
            asked="Who will I see at the dentist?",
            decoy="The lawyer of our landlord is one Mr. {}.",
        ),
    ),
    values=_NAMES,
    subjects=(
        *("gardening", "chess openings", "old bridges", "sourdough bread", "night trains"),
        *("watercolours", "jazz records", "mountain huts", "the Roman roads", "beekeeping"),
        *("sailing knots", "wool jumpers", "street markets", "comets", "cheese making"),
        *("board games", "wind mills", "tax forms", "coffee mills", "bicycle chains"),
    ),
    prompts=(
        "Tell me something about {}.",
        "What should a beginner know about {}?",
        "I have been reading about {} lately. Is it worth the time?",
        "Why do so many people care about {}?",
        "Could you compare {} with what was usual fifty years ago?",
        "Give me three short tips on {}.",
    ),
    sentences=(
        "There is more to {} than most people expect.",
        "It helps to begin with small steps and to keep notes.",
        "Many books have been written about {}, and few of them agree.",
        "The costs are lower than they look at first.",
        "If you ask three experts about {}, you hear four opinions.",
        "Patience matters more than talent here.",
        "A good start is to visit a place where {} can be seen.",
        "Some of the rules are older than anybody remembers.",
        "In the end it is a question of taste and of time.",
        "Do not buy anything expensive before you have tried it twice.",
    ),
    noted=("Thank you, noted.", "I will keep that in mind.", "Good to know!"),
)

GERMAN: Final = Language(
    name="German",
    facts=(
        Fact(
            told="Übrigens heißt mein Hund {}.",
            changed="Wir haben den Hund umbenannt, er heißt jetzt {}.",
            asked="Wie heißt mein Hund?",
            decoy="Die Katze der Nachbarn hört auf {}.",
        ),
        Fact(
            told="Meine Schwester ist zum Studium nach {} gezogen.",
            changed="Meiner Schwester gefiel es dort nicht, sie wohnt jetzt in {}.",
            asked="In welcher Stadt wohnt meine Schwester?",
            decoy="Ein alter Lehrer von mir ist nach {} gezogen.",
        ),
        Fact(
            told="Ich bin allergisch gegen {}, denk bei Rezepten daran.",
            changed="Der Arzt sagt, die Allergie richtet sich gegen {}.",
            asked="Wogegen war noch mal meine Allergie?",
            decoy="Mein Chef mag {} überhaupt nicht.",
        ),
        Fact(
            told="Der Hinweis für das Passwort des alten Servers lautet {}.",
            changed="Den Passworthinweis des Servers habe ich in {} geändert.",
            asked="Wie war der Hinweis zum Passwort vom Server?",
            decoy="Der Drucker im Büro meldet sich als {}.",
        ),
        Fact(
            told="Unser Projekt in der Firma hat den Decknamen {}.",
            changed="Die Leitung hat das Projekt umbenannt, der Deckname ist nun {}.",
            asked="Welchen Decknamen hat unser Projekt?",
            decoy="Das andere Team nennt seines {}.",
        ),
        Fact(
            told="Mein liebster Tee ist der aus {}.",
            changed="Neuerdings trinke ich lieber den Tee aus {}.",
            asked="Welchen Tee trinke ich am liebsten?",
            decoy="Mein Onkel trinkt nur Kaffee aus {}.",
        ),
        Fact(
            told="Ich schreibe einen Roman, dessen Held {} heißt.",
            changed="Der Held des Romans ist jetzt {}, ich habe die Kapitel umgeschrieben.",
            asked="Wer ist der Held in meinem Roman?",
            decoy="Ich lese gerade einen Comic über den Piraten {}.",
        ),
        Fact(
            told="Den Termin beim Zahnarzt habe ich bei Dr. {}.",
            changed="Der Zahnarzttermin ist nun bei der Kollegin, Dr. {}.",
            asked="Bei wem ist mein Termin beim Zahnarzt?",
            decoy="Der Anwalt unseres Vermieters ist ein Herr {}.",
        ),
    ),
    values=_NAMES,
    subjects=(
        *("Gartenarbeit", "Schacheröffnungen", "alte Brücken", "Sauerteigbrot"),
        *("Nachtzüge", "Aquarelle", "Jazzplatten", "Berghütten", "Römerstraßen", "Imkerei"),
        *("Segelknoten", "Wollpullover", "Wochenmärkte", "Kometen", "Käseherstellung"),
        *("Brettspiele", "Windmühlen", "Steuererklärungen", "Kaffeemühlen"),
        "Fahrradketten",
    ),
    prompts=(
        "Erzähl mir etwas über {}.",
        "Was sollte ein Anfänger über {} wissen?",
        "Ich habe neulich viel über {} gelesen. Lohnt sich das?",
        "Warum interessieren sich so viele Leute für {}?",
        "Wie war das mit {} vor fünfzig Jahren?",
        "Gib mir drei kurze Tipps zum Thema {}.",
    ),
    sentences=(
        "Hinter {} steckt mehr, als die meisten erwarten.",
        "Es hilft, klein anzufangen und sich Notizen zu machen.",
        "Über {} gibt es viele Bücher, und nur wenige sind sich einig.",
        "Die Kosten sind geringer, als sie zuerst aussehen.",
        "Wer drei Fachleute nach {} fragt, hört vier Meinungen.",
        "Geduld zählt hier mehr als Talent.",
        "Am besten besucht man einen Ort, an dem man {} sehen kann.",
        "Manche Regeln sind älter, als sich jemand erinnert.",
        "Am Ende ist es eine Frage des Geschmacks und der Zeit.",
        "Kauf nichts Teures, bevor du es zweimal versucht hast.",
    ),
    noted=("Danke, ist notiert.", "Das merke ich mir.", "Gut zu wissen!"),
)

SPANISH: Final = Language(
    name="Spanish",
    facts=(
        Fact(
            told="Por cierto, mi perro se llama {}.",
            changed="Al final le cambiamos el nombre al perro, ahora es {}.",
            asked="¿Cómo se llama mi perro?",
            decoy="El gato de los vecinos se llama {}.",
        ),
        Fact(
            told="Mi hermana se mudó a {} para estudiar.",
            changed="A mi hermana no le gustó y ahora vive en {}.",
            asked="¿En qué ciudad vive mi hermana?",
            decoy="Un antiguo profesor mío se mudó a {}.",
        ),
        Fact(
            told="Soy alérgico a {}, tenlo en cuenta con las recetas.",
            changed="El médico dice que la alergia es a {}.",
            asked="¿A qué tengo alergia?",
            decoy="Mi jefe no soporta {} para nada.",
        ),
        Fact(
            told="La pista de la contraseña del servidor viejo es {}.",
            changed="Cambié la pista de la contraseña del servidor a {}.",
            asked="Recuérdame la pista de la contraseña del servidor.",
            decoy="La impresora de la oficina responde a {}.",
        ),
        Fact(
            told="Nuestro proyecto del trabajo tiene el nombre en clave {}.",
            changed="La dirección renombró el proyecto, su nombre en clave es {}.",
            asked="¿Cuál es el nombre en clave de nuestro proyecto?",
            decoy="El otro equipo llama al suyo {}.",
        ),
        Fact(
            told="Mi té favorito es el de {}.",
            changed="Últimamente prefiero el té de {}.",
            asked="¿Qué té me gusta más?",
            decoy="Mi tío solo bebe café de {}.",
        ),
        Fact(
            told="Estoy escribiendo una novela cuyo héroe es {}.",
            changed="El héroe de la novela ahora es {}, reescribí los capítulos.",
            asked="¿Quién es el héroe de mi novela?",
            decoy="Leo un cómic sobre un pirata, {}.",
        ),
        Fact(
            told="La cita con el dentista es con el doctor {}.",
            changed="La cita del dentista pasó a una colega, la doctora {}.",
            asked="¿Con quién tengo la cita del dentista?",
            decoy="El abogado del casero es un tal señor {}.",
        ),
    ),
    values=_NAMES,
    subjects=(
        *("jardinería", "aperturas de ajedrez", "puentes antiguos", "pan de masa madre"),
        *("trenes nocturnos", "acuarelas", "discos de jazz", "refugios de montaña"),
        *("calzadas romanas", "apicultura", "nudos marineros", "jerséis de lana"),
        *("mercadillos", "cometas", "quesería", "juegos de mesa", "molinos de viento"),
        *("impuestos", "molinillos", "cadenas de bici"),
    ),
    prompts=(
        "Cuéntame algo sobre {}.",
        "¿Qué debería saber un principiante de {}?",
        "Últimamente he leído mucho sobre {}. ¿Vale la pena?",
        "¿Por qué a tanta gente le interesa el tema de {}?",
        "¿Puedes comparar {} con lo que era normal hace cincuenta años?",
        "Dame tres consejos breves sobre {}.",
    ),
    sentences=(
        "Hay más en {} de lo que la mayoría espera.",
        "Ayuda empezar con pasos pequeños y tomar notas.",
        "Se han escrito muchos libros sobre {}, y pocos coinciden.",
        "Los costes son menores de lo que parecen al principio.",
        "Si preguntas a tres expertos sobre {}, oyes cuatro opiniones.",
        "La paciencia importa más que el talento.",
        "Un buen comienzo es visitar un lugar donde se vea {}.",
        "Algunas reglas son más viejas de lo que nadie recuerda.",
        "Al final es cuestión de gusto y de tiempo.",
        "No compres nada caro antes de probarlo dos veces.",
    ),
    noted=("Gracias, anotado.", "Lo tendré en cuenta.", "¡Bueno es saberlo!"),
)

RUSSIAN: Final = Language(
    name="Russian",
    facts=(
        Fact(
            told="Кстати, мою собаку зовут {}.",
            changed="Мы всё-таки переименовали собаку, теперь она {}.",
            asked="Как зовут мою собаку?",
            decoy="Соседского кота зовут {}.",
        ),
        Fact(
            told="Моя сестра переехала учиться в город {}.",
            changed="Сестре там не понравилось, теперь она живёт в городе {}.",
            asked="В каком городе живёт моя сестра?",
            decoy="Мой старый учитель переехал в {}.",
        ),
        Fact(
            told="У меня аллергия на {}, учти это в рецептах.",
            changed="Врач говорит, что аллергия на {}.",
            asked="На что у меня аллергия?",
            decoy="Мой начальник терпеть не может {}.",
        ),
        Fact(
            told="Подсказка к паролю старого сервера: {}.",
            changed="Я сменил подсказку к паролю сервера на {}.",
            asked="Напомни подсказку к паролю сервера.",
            decoy="Принтер в офисе отзывается на {}.",
        ),
        Fact(
            told="У нашего проекта на работе кодовое имя {}.",
            changed="Начальство переименовало проект, кодовое имя теперь {}.",
            asked="Какое кодовое имя у нашего проекта?",
            decoy="Другая команда называет свой {}.",
        ),
        Fact(
            told="Мой любимый чай — из местности {}.",
            changed="В последнее время я предпочитаю чай из местности {}.",
            asked="Какой чай я люблю больше всего?",
            decoy="Мой дядя пьёт только кофе из местности {}.",
        ),
        Fact(
            told="Я пишу роман, героя которого зовут {}.",
            changed="Герой романа теперь {}, я переписал главы.",
            asked="Кто герой моего романа?",
            decoy="Читаю комикс про пирата по имени {}.",
        ),
        Fact(
            told="Я записан к стоматологу, врача зовут {}.",
            changed="Запись к стоматологу перенесли, теперь принимает {}.",
            asked="К кому я записан у стоматолога?",
            decoy="Адвокат нашего хозяина — некий {}.",
        ),
    ),
    values=(
        *("Акиро", "Белмор", "Корвин", "Далите", "Эмрова", "Фандель", "Гориак", "Халвис"),
        *("Исмена", "Йорунд", "Келмар", "Лорвас", "Мирело", "Нестов", "Орлин", "Паврик"),
        *("Квельда", "Ровена", "Селмар", "Тавиш", "Ульване", "Велмор", "Вендра", "Ксандор"),
        *("Ярвик", "Зелмира"),
    ),
    subjects=(
        *("садоводство", "шахматные дебюты", "старые мосты", "хлеб на закваске"),
        *("ночные поезда", "акварель", "джазовые пластинки", "горные приюты"),
        *("римские дороги", "пчеловодство", "морские узлы", "вязаные свитера"),
        *("уличные рынки", "кометы", "сыроварение", "настольные игры", "ветряные мельницы"),
        *("налоги", "кофемолки", "велосипедные цепи"),
    ),
    prompts=(
        "Расскажи мне что-нибудь про {}.",
        "Что новичку надо знать про {}?",
        "Я много читал про {}. Стоит ли тратить время?",
        "Почему столько людей ценят {}?",
        "Сравни {} с тем, что было пятьдесят лет назад.",
        "Дай три коротких совета про {}.",
    ),
    sentences=(
        "За словами «{}» скрывается больше, чем многие ждут.",
        "Полезно начинать с малого и вести записи.",
        "Про {} написано много книг, и мало какие согласны.",
        "Расходы меньше, чем кажется сначала.",
        "Спроси трёх знатоков про {} и услышишь четыре мнения.",
        "Терпение здесь важнее таланта.",
        "Хорошее начало — место, где можно увидеть {}.",
        "Некоторые правила старше, чем кто-либо помнит.",
        "В конце концов это вопрос вкуса и времени.",
        "Не покупай ничего дорогого, пока не попробуешь дважды.",
    ),
    noted=("Спасибо, записал.", "Буду иметь в виду.", "Хорошо, что сказал!"),
)

CHINESE: Final = Language(
    name="Chinese",
    facts=(
        Fact(
            told="顺便说一下，我的狗叫{}。",
            changed="我们给狗改了名字，现在叫{}。",
            asked="我的狗叫什么名字？",
            decoy="邻居家的猫叫{}。",
        ),
        Fact(
            told="我妹妹搬到{}去读书了。",
            changed="妹妹不喜欢那里，现在住在{}。",
            asked="我妹妹住在哪个城市？",
            decoy="我以前的老师搬到{}去了。",
        ),
        Fact(
            told="我对{}过敏，推荐菜谱时请注意。",
            changed="医生说我其实是对{}过敏。",
            asked="我对什么过敏？",
            decoy="我的老板最讨厌{}。",
        ),
        Fact(
            told="旧服务器的密码提示是{}。",
            changed="我把服务器的密码提示改成了{}。",
            asked="提醒我一下服务器的密码提示。",
            decoy="办公室的打印机名叫{}。",
        ),
        Fact(
            told="我们公司项目的代号是{}。",
            changed="领导把项目改名了，代号现在是{}。",
            asked="我们项目的代号是什么？",
            decoy="另一个小组的叫{}。",
        ),
        Fact(
            told="我最喜欢的茶是{}产的。",
            changed="最近我更喜欢{}的茶。",
            asked="我最喜欢哪里的茶？",
            decoy="我叔叔只喝{}的咖啡。",
        ),
        Fact(
            told="我在写一部小说，主角是{}。",
            changed="小说的主角现在是{}，我重写了那几章。",
            asked="我小说的主角是谁？",
            decoy="我在看一本讲海盗{}的漫画。",
        ),
        Fact(
            told="我约了牙医，医生是{}。",
            changed="牙医的预约换了人，现在是{}医生。",
            asked="我预约的牙医是哪位医生？",
            decoy="房东的律师是一位{}先生。",
        ),
    ),
    values=(
        *("阿绮", "柏墨", "珂文", "黛蕾", "恩柔", "芳黛", "戈瑞", "翰薇", "伊梦", "嘉润"),
        *("凯玛", "洛瓦", "弥蕊", "聂斯", "欧琳", "帕维", "葵达", "若雯", "瑟玛", "塔薇"),
        *("乌万", "薇莫", "温卓", "玄铎", "雅维", "泽弥"),
    ),
    subjects=(
        *("园艺", "国际象棋", "古桥", "酸面包", "夜间火车", "水彩画", "爵士唱片"),
        *("山间小屋", "罗马大道", "养蜂", "航海绳结", "羊毛衫", "集市", "彗星", "奶酪制作"),
        *("桌游", "风车", "报税", "咖啡磨", "自行车链条"),
    ),
    prompts=(
        "给我讲讲{}吧。",
        "关于{}，初学者应该知道些什么？",
        "我最近读了不少关于{}的东西，值得花时间吗？",
        "为什么那么多人关心{}？",
        "把{}和五十年前比一比好吗？",
        "请给我三条关于{}的小建议。",
    ),
    sentences=(
        "{}比大多数人想的要复杂。",
        "从小处开始并做笔记会有帮助。",
        "写{}的书很多，看法却很少一致。",
        "花费比看上去要少。",
        "问三个专家关于{}的事，会听到四种意见。",
        "在这里耐心比天分重要。",
        "不妨先去一个能看到{}的地方。",
        "有些规矩比谁的记忆都老。",
        "说到底是口味和时间的问题。",
        "试过两次之前别买贵的东西。",
    ),
    noted=("谢谢，记下了。", "我会记住的。", "知道了！"),
)

LANGUAGES: Final = (ENGLISH, GERMAN, SPANISH, RUSSIAN, CHINESE)
