"""Every word the field app says, in English and Hebrew; nothing else in the app holds text for people.

`Texts(lang)["key"]` and `.say("key", name=value)`; a test keeps both languages' keys and blanks equal.
"""

from __future__ import annotations

import re
from typing import Literal

Lang = Literal["en", "he"]
LANGUAGES: dict[Lang, str] = {"en": "English", "he": "עברית"}

_EN = {
    "app": "Campus GPS",
    "nav": "Pages",
    "nav_locate": "Locate",
    "nav_log": "Log",
    "nav_campus": "Campus",
    "language": "Language",
    "rendered": "Demo · computer-rendered, not a real place",
    # capture
    "way": "How to give a photo",
    "way_camera": "Camera",
    "way_gallery": "Gallery",
    "way_samples": "Samples",
    "take_photo": "Take a photo",
    "live_view": "Live view",
    "snap": "Capture",
    "live_stop": "Close",
    "reading": "Reading the photo…",
    "sending": "Sending…",
    "camera_refused": "The camera cannot be opened: allow it in the browser, or use the big button.",
    "unreadable": "The browser cannot read this photo.",
    "too_large": "This photo is larger than 25 MB.",
    "choose_photo": "Choose a photo",
    "choose_file": "Choose a file",
    "upload": "A photo from this phone: JPEG, PNG, WebP or HEIC",
    "samples": "Sample photos of this campus: choose one",
    "sample": "Sample photo {number}: {name}",
    "no_samples": "This campus comes without sample photos.",
    "use_location": "Compare with this phone's GPS (never used to predict)",
    "working": "Locating…",
    "hint": "Photograph buildings straight ahead, phone upright. You get your place, and how sure it is.",
    # answer
    "within": "within {radius} m",
    "shares": "68 in 100 · 95 in 100 within {radius} m",
    "both_shares": "68 in 100 within {radius68} m · 95 in 100 within {radius95} m",
    "perhaps": "Perhaps {zone} ({percent} %)",
    "looking": "Looking {direction} ({heading}°)",
    "looking_spread": "Looking {direction} ({heading}° ± {spread}°)",
    "towards_north": "north",
    "towards_north-east": "north-east",
    "towards_east": "east",
    "towards_south-east": "south-east",
    "towards_south": "south",
    "towards_south-west": "south-west",
    "towards_west": "west",
    "towards_north-west": "north-west",
    "sure_good": "A clear answer",
    "sure_wide": "Wide: anywhere in the circle",
    "sure_split": "Look-alike places",
    "split": "{count} places fit",
    "truth_in": "{distance} m from the {source}, inside the circle",
    "truth_out": "{distance} m from the {source}, outside the circle",
    "wide_help": "This view fits many places. Step back or turn towards a building and try again.",
    "split_help": "They look alike. Turn towards something that only one of them has.",
    "elsewhere": "This does not look like {campus}",
    "elsewhere_help": "The photo resembles nothing the campus model has seen, so no place is claimed.",
    "show_guess": "Show the best guess anyway",
    "best_guess": "Best guess, not to be relied on",
    "candidates": "Places that fit",
    "short_good": "clear",
    "short_wide": "wide",
    "short_split": "several places",
    "short_elsewhere": "not this campus",
    "share": "{percent} %",
    "others": "Other places that fit less",
    "truth_photo": "photo's own GPS",
    "truth_phone": "phone's GPS",
    "truth_error": "(± {error} m)",
    "position": "Latitude, longitude",
    "details": "Details",
    "timing": "{total} ms on the server · {engine}",
    "your_photo": "The photo",
    "map_alt": "Map: {zone}, within {radius} m",
    "map_alt_empty": "Map of {campus}",
    "legend": "What the map shows",
    "legend_fix": "this photo",
    "legend_radius68": "68 %",
    "legend_radius95": "95 %",
    "legend_probability": "likelihood",
    "legend_zone": "zone",
    "legend_zones": "zones",
    "legend_candidate": "places that fit",
    "legend_truth": "GPS",
    "legend_track": "earlier photos",
    "legend_heading": "looking this way",
    # sides, as in "Library, north side"
    "side_place": "{name}, {side}",
    "side_north": "north side",
    "side_north-east": "north-east side",
    "side_east": "east side",
    "side_south-east": "south-east side",
    "side_south": "south side",
    "side_south-west": "south-west side",
    "side_west": "west side",
    "side_north-west": "north-west side",
    "zone_number": "Zone {number}",
    # trouble
    "photo_error": "This photo cannot be used.",
    "bundle_error": "This campus cannot be opened.",
    "busy": "Busy: {waiting} photos are waiting. Try again in a moment.",
    # log
    "log_empty": "No photos located yet. Each one will be listed here, with its downloads.",
    "log_count": "Photos this session: {count}",
    "log_error": "Error to GPS",
    "download_as": "Download as {kind}",
    "clear": "Clear the log",
    "summary": "Field test, photos with GPS: {count}",
    "summary_mean": "Mean error",
    "summary_median": "Median error",
    "summary_inside": "Inside the 68 % radius",
    "summary_note": "GPS itself errs by some metres; radii are right when about 68 in 100 lie inside.",
    "metres": "{value} m",
    # campus
    "campus_pick": "Campus",
    "campus_add": "Add a campus (.campus file)",
    "campus_added": "{name} is ready.",
    "campus_card": "About this campus model",
    "card_area": "Area covered",
    "card_area_value": "{width} × {height} m",
    "card_photos": "Photos trained on",
    "card_trained": "Trained",
    "card_how": "How",
    "card_engine": "Engine in use",
    "card_zones": "Zones",
    "card_heldout": "Held-out photos: {count}",
    "card_mean": "Mean error",
    "card_median": "Median error",
    "card_p95": "95 % err less than",
    "card_coverage": "Inside the 68 % radius",
    "card_split": "Held out: {split}",
    "card_none": "No held-out figures in this bundle.",
    "coverage": "Where training photos are thick or thin",
    "coverage_alt": "Map of training photos of {campus}",
    "legend_coverage": "training photos",
    "campus_download": "Download this campus",
    "edge_download": "Download the edge pack for a Jetson",
    "edge_pack": "Edge pack for a Jetson",
    "edge_how": "It is made on a computer with this project and requirements-train.txt, in the project's folder:",
    "edge_beside": "Once it lies beside the campus on this server, it can be downloaded here.",
    "edge_no_weights": "This campus carries no weights, so no edge pack can be made from it.",
    "private": "Photos stay in the server's memory and are not kept.",
    "kept": "The owner of this server keeps the photos, each with its answer.",
}

# \u2066 and \u2068, to \u2069, set apart what reads left to right, or as it wants, from the Hebrew around it: without
# them the Unicode bidirectional algorithm joins a number to a Latin word before it and turns both round.
_HE = {
    "app": "ניווט קמפוס",
    "nav": "עמודים",
    "nav_locate": "איתור",
    "nav_log": "יומן",
    "nav_campus": "קמפוס",
    "language": "שפה",
    "rendered": "הדגמה · מצויר במחשב, לא מקום אמיתי",
    "way": "איך לתת תמונה",
    "way_camera": "מצלמה",
    "way_gallery": "גלריה",
    "way_samples": "דוגמאות",
    "take_photo": "צילום תמונה",
    "live_view": "תצוגה חיה",
    "snap": "צילום",
    "live_stop": "סגירה",
    "reading": "קורא את התמונה…",
    "sending": "שולח…",
    "camera_refused": "לא ניתן לפתוח את המצלמה: יש לאשר אותה בהגדרות הדפדפן, או להשתמש בכפתור הגדול.",
    "unreadable": "הדפדפן אינו יכול לקרוא את התמונה.",
    "too_large": "התמונה גדולה מ־25 מ״ב.",
    "choose_photo": "בחירת תמונה",
    "choose_file": "בחירת קובץ",
    "upload": "תמונה מהטלפון: JPEG, PNG, WebP או HEIC",
    "samples": "תמונות לדוגמה מהקמפוס: יש לבחור אחת",
    "sample": "תמונה לדוגמה {number}: {name}",
    "no_samples": "לקמפוס הזה אין תמונות לדוגמה.",
    "use_location": "השוואה ל־GPS של הטלפון (אינו משמש לחיזוי)",
    "working": "מאתר…",
    "hint": "צלמו מבנים ישר קדימה, כשהטלפון זקוף. תקבלו את המקום, ועד כמה הוא בטוח.",
    "within": "עד {radius} מ׳",
    "shares": "68 מתוך 100 · 95 מתוך 100 עד {radius} מ׳",
    "both_shares": "68 מתוך 100 עד {radius68} מ׳ · 95 מתוך 100 עד {radius95} מ׳",
    "perhaps": "אולי {zone} ({percent}%)",
    "looking": "המבט {direction} ({heading}°)",
    "looking_spread": "המבט {direction} (\u2066{heading}° ± {spread}°\u2069)",
    "towards_north": "לצפון",
    "towards_north-east": "לצפון־מזרח",
    "towards_east": "למזרח",
    "towards_south-east": "לדרום־מזרח",
    "towards_south": "לדרום",
    "towards_south-west": "לדרום־מערב",
    "towards_west": "למערב",
    "towards_north-west": "לצפון־מערב",
    "sure_good": "תשובה ברורה",
    "sure_wide": "רחב: בכל מקום בתוך העיגול",
    "sure_split": "מקומות דומים",
    "split": "{count} מקומות מתאימים",
    "truth_in": "{distance} מ׳ מ{source}, בתוך העיגול",
    "truth_out": "{distance} מ׳ מ{source}, מחוץ לעיגול",
    "wide_help": "המראה הזה מתאים למקומות רבים. התרחקו או פנו אל מבנה ונסו שוב.",
    "split_help": "הם דומים זה לזה. פנו אל משהו שיש רק באחד מהם.",
    "elsewhere": "זה לא נראה כמו {campus}",
    "elsewhere_help": "התמונה אינה דומה לשום דבר שהמודל ראה, ולכן לא נטען מקום.",
    "show_guess": "הצגת הניחוש הטוב ביותר בכל זאת",
    "best_guess": "הניחוש הטוב ביותר, אין להסתמך עליו",
    "candidates": "מקומות מתאימים",
    "short_good": "ברור",
    "short_wide": "רחב",
    "short_split": "כמה מקומות",
    "short_elsewhere": "לא הקמפוס הזה",
    "share": "{percent}%",
    "others": "מקומות אחרים שמתאימים פחות",
    "truth_photo": "ה־GPS שבתמונה",
    "truth_phone": "ה־GPS של הטלפון",
    "truth_error": "(± {error} מ׳)",
    "position": "קו רוחב, קו אורך",
    "details": "פרטים",
    "timing": "{total} אלפיות שנייה בשרת · {engine}",
    "your_photo": "התמונה",
    "map_alt": "מפה: {zone}, עד {radius} מ׳",
    "map_alt_empty": "מפת {campus}",
    "legend": "מה המפה מראה",
    "legend_fix": "התמונה הזאת",
    "legend_radius68": "68%",
    "legend_radius95": "95%",
    "legend_probability": "סבירות",
    "legend_zone": "אזור",
    "legend_zones": "אזורים",
    "legend_candidate": "מקומות מתאימים",
    "legend_truth": "GPS",
    "legend_track": "תמונות קודמות",
    "legend_heading": "כיוון המבט",
    "side_place": "{name}, {side}",
    "side_north": "צד צפון",
    "side_north-east": "צד צפון־מזרח",
    "side_east": "צד מזרח",
    "side_south-east": "צד דרום־מזרח",
    "side_south": "צד דרום",
    "side_south-west": "צד דרום־מערב",
    "side_west": "צד מערב",
    "side_north-west": "צד צפון־מערב",
    "zone_number": "אזור {number}",
    "photo_error": "לא ניתן להשתמש בתמונה הזאת.",
    "bundle_error": "לא ניתן לפתוח את הקמפוס הזה.",
    "busy": "עמוס: {waiting} תמונות ממתינות. נסו שוב בעוד רגע.",
    "log_empty": "עדיין לא אותרו תמונות. כל תמונה תופיע כאן, עם קבצים להורדה.",
    "log_count": "תמונות בהפעלה הזאת: {count}",
    "log_error": "מרחק מה־GPS",
    "download_as": "הורדה בתור {kind}",
    "clear": "ניקוי היומן",
    "summary": "מבחן שטח, תמונות עם \u2068GPS\u2069: {count}",
    "summary_mean": "שגיאה ממוצעת",
    "summary_median": "שגיאה חציונית",
    "summary_inside": "בתוך רדיוס 68%",
    "summary_note": "גם ה־GPS שוגה בכמה מטרים; הרדיוסים נכונים כשכ־68 מתוך 100 בתוכם.",
    "metres": "\u2068{value} מ׳\u2069",
    "campus_pick": "קמפוס",
    "campus_add": "הוספת קמפוס (קובץ ‎.campus)",
    "campus_added": "{name} מוכן.",
    "campus_card": "על מודל הקמפוס",
    "card_area": "שטח מכוסה",
    "card_area_value": "{width} × {height} מ׳",
    "card_photos": "תמונות אימון",
    "card_trained": "אומן",
    "card_how": "איך",
    "card_engine": "מנוע בשימוש",
    "card_zones": "אזורים",
    "card_heldout": "תמונות מבחן: {count}",
    "card_mean": "שגיאה ממוצעת",
    "card_median": "שגיאה חציונית",
    "card_p95": "95% שוגות פחות מ־",
    "card_coverage": "בתוך רדיוס 68%",
    "card_split": "הוצאו למבחן: \u2068{split}\u2069",
    "card_none": "אין מדידות מבחן בחבילה הזאת.",
    "coverage": "היכן תמונות האימון צפופות או דלילות",
    "coverage_alt": "מפת תמונות האימון של {campus}",
    "legend_coverage": "תמונות אימון",
    "campus_download": "הורדת הקמפוס",
    "edge_download": "הורדת חבילת הקצה ל־Jetson",
    "edge_pack": "חבילת קצה ל־Jetson",
    "edge_how": "מכינים אותה במחשב שיש בו הפרויקט הזה ו־requirements-train.txt, בתיקיית הפרויקט:",
    "edge_beside": "כשהיא מונחת ליד הקמפוס בשרת הזה, אפשר להוריד אותה כאן.",
    "edge_no_weights": "הקמפוס הזה אינו כולל משקלים, ולכן אי אפשר להכין ממנו חבילת קצה.",
    "private": "התמונות נשארות בזיכרון השרת ואינן נשמרות.",
    "kept": "בעלי השרת הזה שומרים את התמונות, כל אחת עם התשובה שלה.",
}

_ALL: dict[Lang, dict[str, str]] = {"en": _EN, "he": _HE}
_SIDE = re.compile(r"(?P<name>.+), (?P<side>north|north-east|east|south-east|south|south-west|west|north-west) side")
_COMPASS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")
_NUMBERED = re.compile(r"Zone (?P<number>\d+)")


class Texts:
    """The words of one language."""

    def __init__(self, lang: Lang) -> None:
        self.lang: Lang = lang
        self._words = _ALL[lang]

    def __getitem__(self, key: str) -> str:
        return self._words[key]

    def say(self, key: str, **blanks: object) -> str:
        """The text of `key` with its blanks filled."""
        return self._words[key].format(**blanks)

    @property
    def right_to_left(self) -> bool:
        return self.lang == "he"

    def zone_name(self, name: str) -> str:
        """A zone's name in this language: `Library, north side` and `Zone 7` are how training names zones."""
        if found := _SIDE.fullmatch(name):
            return self.say("side_place", name=found["name"], side=self[f"side_{found['side']}"])
        if found := _NUMBERED.fullmatch(name):
            return self.say("zone_number", number=found["number"])
        return name

    def direction(self, heading_deg: float) -> str:
        """The nearest of eight directions, as in "looking north-east"."""
        return self[f"towards_{_COMPASS[round(heading_deg / 45) % 8]}"]


def language_of(wanted: str | None, browser_locale: str | None) -> Lang:
    """The language asked for, else the browser's, else English."""
    for tag in (wanted, browser_locale):
        short = (tag or "").lower().split("-")[0]
        short = "he" if short == "iw" else short  # the old code, which some Android phones still send
        if short in LANGUAGES:
            return short
    return "en"
