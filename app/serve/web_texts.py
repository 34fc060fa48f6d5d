"""What the lock page, the install page and the page shown without a connection say, in English and Hebrew."""

from __future__ import annotations

from app.language import Lang

TEXTS: dict[Lang, dict[str, str]] = {
    "en": {
        "app": "Campus GPS",
        "locked": "Locked",
        "no_key": "Scan the QR code shown where Campus GPS was started, or type its key here.",
        "wrong_key": "This is not the key. It may have changed: scan the QR code again.",
        "too_many": "Too many wrong keys from this phone. Wait a minute, then scan the QR code.",
        "key": "Access key",
        "unlock": "Unlock",
        "warned": "Did the browser warn about this page?",
        "trust_link": "Trust it on this phone",
        "install_title": "Trust Campus GPS on this phone",
        "why": (
            "Campus GPS runs on a computer on your network, so no public authority can vouch for it. Install its "
            "certificate once, and the browser's warning goes away; iPhones need it to work at all."
        ),
        "download": "Download the certificate",
        "check": "Before you trust it, compare its SHA-256 fingerprint with the one on the computer's screen:",
        "ios": "iPhone and iPad",
        "ios_1": "Open this page in Safari, tap the button above and allow the download.",
        "ios_2": "Settings → Profile Downloaded → Install.",
        "ios_3": "Settings → General → About → Certificate Trust Settings: turn Campus GPS on.",
        "android": "Android",
        "android_1": "Tap the button above.",
        "android_2": (
            "Settings → Security & privacy → More security settings → Encryption & credentials → Install a "
            "certificate → CA certificate."
        ),
        "android_3": "Choose campus-gps-ca.crt. Names differ a little between phones: search the settings for “CA”.",
        "home": "Put it on the home screen",
        "home_1": "iPhone: Share → Add to Home Screen.",
        "home_2": "Android, Chrome: ⋮ → Add to home screen → Install.",
        "reach": (
            "The certificate can vouch for addresses and for that computer's own names only, never for a website. "
            "Remove it in the same settings when you no longer need it."
        ),
        "open": "Open Campus GPS",
        "offline": "Campus GPS cannot be reached. Join the network of the computer that runs it.",
        "retry": "Try again",
    },
    "he": {
        "app": "Campus GPS",
        "locked": "נעול",
        "no_key": "סרקו את קוד ה־QR שמוצג במקום שבו הופעל Campus GPS, או הקלידו כאן את המפתח.",
        "wrong_key": "זה אינו המפתח. ייתכן שהוחלף: סרקו שוב את קוד ה־QR.",
        "too_many": "יותר מדי מפתחות שגויים מהטלפון הזה. המתינו דקה וסרקו את קוד ה־QR.",
        "key": "מפתח גישה",
        "unlock": "פתיחה",
        "warned": "הדפדפן הזהיר מפני הדף הזה?",
        "trust_link": "סמכו עליו בטלפון הזה",
        "install_title": "לסמוך על Campus GPS בטלפון הזה",
        "why": (
            "Campus GPS פועל על מחשב ברשת שלכם, ולכן אין רשות ציבורית שתערוב לו. התקינו את האישור שלו פעם אחת, "
            "ואזהרת הדפדפן תיעלם; באייפון הוא הכרחי."
        ),
        "download": "הורדת האישור",
        "check": "לפני שסומכים עליו, השוו את טביעת האצבע SHA-256 שלו לזו שעל מסך המחשב:",
        "ios": "אייפון ואייפד",
        "ios_1": "פתחו את הדף הזה ב־Safari, הקישו על הכפתור שלמעלה ואשרו את ההורדה.",
        "ios_2": "הגדרות ← פרופיל הורד ← התקן.",
        "ios_3": "הגדרות ← כללי ← אודות ← הגדרות אמון באישורים: הפעילו את Campus GPS.",
        "android": "אנדרואיד",
        "android_1": "הקישו על הכפתור שלמעלה.",
        "android_2": "הגדרות ← אבטחה ופרטיות ← הגדרות אבטחה נוספות ← הצפנה ופרטי כניסה ← התקנת אישור ← אישור CA.",
        "android_3": "בחרו את campus-gps-ca.crt. השמות משתנים מעט בין טלפונים: חפשו CA בהגדרות.",
        "home": "הוספה למסך הבית",
        "home_1": "אייפון: שיתוף ← הוסף למסך הבית.",
        "home_2": "אנדרואיד, Chrome: ⋮ ← הוספה למסך הבית ← התקנה.",
        "reach": (
            "האישור יכול לערוב רק לכתובות ולשמות של אותו מחשב, ולעולם לא לאתר אינטרנט. הסירו אותו באותן הגדרות "
            "כשאין בו עוד צורך."
        ),
        "open": "פתיחת Campus GPS",
        "offline": "אין קשר עם Campus GPS. התחברו לרשת של המחשב שמפעיל אותו.",
        "retry": "לנסות שוב",
    },
}
