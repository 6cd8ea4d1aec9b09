"""Some sentences of each language in the encodings that it was written in before UTF-8."""

import pytest

from aias.data.text_files.charsets import codec, is_sure, likely

SAID = {
    "中国": ("今天的天气很好，我们一起去公园玩吧。 请输入用户名和密码。", ["gbk", "gb18030"]),
    "臺灣": ("今天的天氣很好，我們一起去公園玩吧。 請輸入使用者名稱和密碼。", ["big5"]),
    "日本": ("今日はとても良い天気です。 ユーザー名とパスワードを入力してください。", ["shift_jis", "euc_jp"]),
    "한국": ("오늘은 날씨가 정말 좋습니다. 사용자 이름과 비밀번호를 입력하세요.", ["euc_kr"]),
    "Россия": ("Сегодня очень хорошая погода. Введите имя пользователя и пароль.", ["cp1251", "koi8_r", "cp866"]),
    "Ελλάδα": ("Σήμερα ο καιρός είναι πολύ καλός. Εισάγετε όνομα χρήστη.", ["cp1253"]),
    "ישראל": ("היום מזג האוויר טוב מאוד. הזינו שם משתמש וסיסמה.", ["cp1255"]),
    "مصر": ("الطقس اليوم جميل جدا. أدخل اسم المستخدم وكلمة المرور.", ["cp1256"]),
    "ไทย": ("วันนี้อากาศดีมาก กรุณาใส่ชื่อผู้ใช้และรหัสผ่าน", ["cp874"]),
    "Polska": (
        "Dziś jest bardzo ładna pogoda. Proszę wpisać nazwę użytkownika i hasło. Żółć, źródło",
        ["cp1250", "iso8859_2"],
    ),
    "Česko": ("Dnes je velmi hezké počasí, příště přijďte dříve. Zadejte uživatelské jméno", ["cp1250", "iso8859_2"]),
    "Türkiye": ("Bugün hava çok güzel, ışıklar söndü. Kullanıcı adınızı ve şifrenizi girin, değil mi", ["cp1254"]),
    "Latvija": ("Šodien ir ļoti labs laiks. Ievadiet lietotājvārdu un paroli, lūdzu, kā arī adresi", ["cp1257"]),
    "Deutschland": ("Heute ist schönes Wetter, größer als üblich. Bitte Passwörter ändern", ["latin-1", "cp850"]),
    "France": ("Il fait très beau aujourd’hui, même à Noël. Où êtes-vous allé ? Ça va", ["cp1252", "mac_roman"]),
}


@pytest.mark.parametrize(("text", "encoding"), [(text, each) for text, names in SAID.values() for each in names])
def test_two_sentences_are_read_as_what_they_say(text, encoding):
    found = likely(text.encode(encoding))
    assert text.encode(encoding).decode(found[0].encoding) == text
    assert is_sure(found)


@pytest.mark.parametrize(
    "text", ["10 m³", "5±2", "20 °C", "5 µg", "1½", "a × b", "£5", "café", "größe", "¿Qué?", "é", "Å"]
)
def test_a_single_sign_or_accent_is_western_however_often_it_stands_there(text):
    found = likely("\n".join([text] * 500).encode("latin-1"))
    assert found[0].encoding == "latin-1"
    assert is_sure(found)


@pytest.mark.parametrize("text", ["“quoted”", "it’s", "3 €", "x™", "Œuvre"])
def test_what_only_windows_has_is_read_as_windows(text):
    assert likely("\n".join([text] * 500).encode("cp1252"))[0].encoding == "windows-1252"


def test_a_sample_may_break_off_within_a_character():
    data = "今天的天气很好，我们一起去公园玩吧。".encode("gbk")
    assert likely(data[:-1])[0].encoding == "gb18030"


@pytest.mark.parametrize(
    ("name", "found"), [("GB2312", "gb18030"), ("sjis", "cp932"), ("Latin1", "iso8859-1"), ("zip", None)]
)
def test_an_encoding_goes_by_what_holds_all_of_it(name, found):
    assert codec(name) == found
