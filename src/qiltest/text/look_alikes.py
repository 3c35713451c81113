"""Classes of characters that readers and people confuse (docs/reference/reading.md)."""

from __future__ import annotations

import functools

#: letters whose capital differs in size alone, which handwriting does not keep.
SAME_SHAPE = "c/C"
CASE = "upper/lower"
SCRIPTS = "simplified/traditional"

_GROUPS = (
    "己已巳", "未末", "土士", "人入八", "大太犬", "干千于", "木本术", "王玉主",
    "力刀", "算箅", "支攴", "晴睛", "拔拨", "折拆", "侯候", "口囗回",
)  # fmt: skip
#: class name -> characters that look alike. A character may be in several; the first class with both counts.
CLASSES: dict[str, str] = {
    "I/l/1": "Il1|ıi!Ⅰ丨",
    "O/0": "O0o〇○QD",
    "、/,": "、,‚،丶",
    "./。": ".。·・•∙",
    ":/;": ":;",
    "quotes": "'\"‘’“”`´「」『』〝〞",
    "dashes": "-‐‑‒–—−_~一ー",
    "brackets": "()[]{}【】〔〕〈〉<>",
    "5/S": "5Ss",
    "2/Z": "2Zz",
    "8/B": "8B",
    "6/b": "6bG",
    "9/g/q": "9gq",
    "u/v": "uvUV",
    "a/o/e": "aoec",
    "n/h": "nh",
    "f/t": "ft",
    "问/间": "问间问閒間問河同闻",
    "日/曰/目": "日曰目白",
    "天/夭/无": "天夭无元",
    "贝/见": "贝见貝見",
    "卖/买": "卖买賣買奕",
    "情/清/请": "情清请请",
    **{"/".join(group): group for group in _GROUPS},
}
_SAME_SHAPE_LETTERS = frozenset("cijkopsuvwxyz")

_SIMPLIFIED = (
    "万与业丛东两严丧个丰临为丽举么义乌乐乔习乡书买乱争于亏云亚产亩亲亿仅从仑仓仪们价众优会伞伟传伤伦伪体余佣"
    "侠侣侦侧侨俭债倾偿储儿党兰关兴养兽冈册写军农冯冲决况冻净凉减凑凤凭凯击凿刘则刚创删别剂剑剧劝办务动励劲劳势"
    "勋华协单卖卢卫却厂厅历厉压厌厕厢厦厨县参双发变叙叠号叹听启吴呐员响哑唤园围国图圆圣场坏块坚坛坝坟垦垒"
    "垫墙壮声壳处备复够头夸夹夺奋奖妆妇妈娱娄娇孙学宁宝实宠审宪宫宽宾寝对寻导寿将尔尘尝层属岁岂岗岛岭峡币帅师"
    "帐帜带帮庄庆库应庙废广开异弃张弥弯弹强归当录彻径总恋恳恶悬惊惧惨惩惯愤愿戏战户扑执扩扫扬扰抚抛抢护"
    "报担拟拥择挂挡挤挥捞损换据掷摄摆摇撑敌敛数斋断无旧时显晓晕暂术机杀杂权条来杨极构枪柜标栈栋栏树样档桥"
    "梦检楼欢欧残毁毕毙气汇汉汤沟没沪泪泽洁浅浆测济浓涛润涨渊渐渔温湾湿满滚滞滤滨滩潜灭灯灵灾炉炼烂烛"
    "烟烦烧热爱爷牵牺犹狮独狭狱猎猪献环现玛画畅疗疮疯痒瘫盏盐监盖盘着矿码砖础确碍礼祸离种积称税稳穷窃窝"
    "竖竞笔签简粮粤紧纠红纤约级纪纬纯纲纳纵纷纸纹纺线练组细织终绍经绑结绕绘给络绝统继绩绪续绳维绵综绿"
    "缓编缘缝缩网罗罚罢职联聪肃肠肤肾肿胀胆胜脉脏脑脚脱脸腊腾舆舰舱艰艳艺节芦苏苹范茎荐荣药莱莲获萝营萧萨蒋"
    "蓝虑虚虫虽虾蚀蚁蛮装补衬袭见观规视览觉触计订认讨让训议讯记讲许论设访证评识诉词译试诗诚话诞询该详语误说请诸"
    "诺读课谁调谅谈谋谎谓谜谢谣谦谨谱豪贝贞负贡财责贤败货质贩贪贫购贯贱贴贵贷贸费贺贼贾资赌赏赔赖赚赛赞赠赢赵"
    "赶趋跃践踪车轨轩转轮软轰轻载较辅辆辈辉输辞边辽达迁过迈运还这进远违连迟适选递逻遗邓邮邻郁郑酱酿释里鉴"
    "针钉钓钟钢钥钱钻铁铃铅铜铝银铺链销锁锅锈锋锐错锡锦键锻镇镜长门闪闭问闯闲间闷闹闻阁阅阔队阳阴阵阶际陆陈险"
    "随隐难雾静面韩页顶项顺须顾顿预领频题颜额风飘飞饥饭饮饰饱饲饼馆马驱驶驻驾验骂骄骑骗骤鱼鲁鲜鸟鸡鸣鸭鸿鹅鹰麦黄"
    "齐齿龄龙龟丝乾制厨发台后面回岩庄庵余舍粥糊"
)
_TRADITIONAL = (
    "萬與業叢東兩嚴喪個豐臨為麗舉麼義烏樂喬習鄉書買亂爭於虧雲亞產畝親億僅從侖倉儀們價眾優會傘偉傳傷倫偽體餘傭"
    "俠侶偵側僑儉債傾償儲兒黨蘭關興養獸岡冊寫軍農馮衝決況凍淨涼減湊鳳憑凱擊鑿劉則剛創刪別劑劍劇勸辦務動勵勁勞勢"
    "勳華協單賣盧衛卻廠廳歷厲壓厭廁廂廈廚縣參雙發變敘疊號嘆聽啟吳吶員響啞喚園圍國圖圓聖場壞塊堅壇壩墳墾壘"
    "墊牆壯聲殼處備復夠頭誇夾奪奮獎妝婦媽娛婁嬌孫學寧寶實寵審憲宮寬賓寢對尋導壽將爾塵嘗層屬歲豈崗島嶺峽幣帥師"
    "帳幟帶幫莊慶庫應廟廢廣開異棄張彌彎彈強歸當錄徹徑總戀懇惡懸驚懼慘懲慣憤願戲戰戶撲執擴掃揚擾撫拋搶護"
    "報擔擬擁擇掛擋擠揮撈損換據擲攝擺搖撐敵斂數齋斷無舊時顯曉暈暫術機殺雜權條來楊極構槍櫃標棧棟欄樹樣檔橋"
    "夢檢樓歡歐殘毀畢斃氣匯漢湯溝沒滬淚澤潔淺漿測濟濃濤潤漲淵漸漁溫灣濕滿滾滯濾濱灘潛滅燈靈災爐煉爛燭"
    "煙煩燒熱愛爺牽犧猶獅獨狹獄獵豬獻環現瑪畫暢療瘡瘋癢癱盞鹽監蓋盤著礦碼磚礎確礙禮禍離種積稱稅穩窮竊窩"
    "豎競筆簽簡糧粵緊糾紅纖約級紀緯純綱納縱紛紙紋紡線練組細織終紹經綁結繞繪給絡絕統繼績緒續繩維綿綜綠"
    "緩編緣縫縮網羅罰罷職聯聰肅腸膚腎腫脹膽勝脈臟腦腳脫臉臘騰輿艦艙艱艷藝節蘆蘇蘋範莖薦榮藥萊蓮獲蘿營蕭薩蔣"
    "藍慮虛蟲雖蝦蝕蟻蠻裝補襯襲見觀規視覽覺觸計訂認討讓訓議訊記講許論設訪證評識訴詞譯試詩誠話誕詢該詳語誤說請諸"
    "諾讀課誰調諒談謀謊謂謎謝謠謙謹譜豪貝貞負貢財責賢敗貨質販貪貧購貫賤貼貴貸貿費賀賊賈資賭賞賠賴賺賽贊贈贏趙"
    "趕趨躍踐蹤車軌軒轉輪軟轟輕載較輔輛輩輝輸辭邊遼達遷過邁運還這進遠違連遲適選遞邏遺鄧郵鄰鬱鄭醬釀釋裡鑒"
    "針釘釣鐘鋼鑰錢鑽鐵鈴鉛銅鋁銀鋪鏈銷鎖鍋銹鋒銳錯錫錦鍵鍛鎮鏡長門閃閉問闖閒間悶鬧聞閣閱闊隊陽陰陣階際陸陳險"
    "隨隱難霧靜面韓頁頂項順須顧頓預領頻題顏額風飄飛饑飯飲飾飽飼餅館馬驅駛駐駕驗罵驕騎騙驟魚魯鮮鳥雞鳴鴨鴻鵝鷹麥黃"
    "齊齒齡龍龜絲乾製廚髮臺後麵迴巖莊菴餘捨粥糊"
)


@functools.lru_cache(maxsize=1)
def _script_pairs() -> frozenset[frozenset[str]]:
    pairs = zip(_SIMPLIFIED, _TRADITIONAL, strict=True)
    return frozenset(frozenset(pair) for pair in pairs if pair[0] != pair[1])


def names() -> tuple[str, ...]:
    """Return the names of all look-alike classes, which a case's `forgiven` may use."""
    return (SAME_SHAPE, CASE, SCRIPTS, *CLASSES)


@functools.lru_cache(maxsize=65536)
def look_alike(first: str, second: str) -> str:
    """Return the name of the first class that has both characters, or "" (also for equal characters)."""
    if first == second or len(first) != 1 or len(second) != 1:
        return ""
    if first.lower() == second.lower():
        return SAME_SHAPE if first.lower() in _SAME_SHAPE_LETTERS else CASE
    if frozenset((first, second)) in _script_pairs():
        return SCRIPTS
    return next((name for name, members in CLASSES.items() if first in members and second in members), "")
