"""Which words are names of nobody, and which may be."""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words of every sentence. "will", "may" and "do" are names too, where a title or a label says so.
GRAMMAR = _words(
    """
    a about above after again all also although an and any are as at be because been before being below both but by
    can could did do does during each either every for from had has have he her here him his how if in into is it
    its may near neither no none nor not of off on or other our out over per same she should since so some still
    such than that the their them then there these they this those through to under until up upon very via was we
    were what when where which while who whom whose why will with within without would yes yet you your
    """
)
# Words that stand where a name could, after a title, a label or "by", and are none; verbs and words of reports.
_PROSE = _words("""
    abnormal accession accompanied account acute addendum address admission admits admitted adult advised age aged
    agreed agreeing agrees alert alive am ambulatory angiogram angiography angle anonymous ap appeared appears
    approved approves ascending ask asked aspect assessed assessment assistant asthma attending authenticated author
    available aware baby baseline benign better bilateral biopsy birth born boy breast brother came cannot cardiac
    cardiology care carer cc cell changes chief child classification clear clinic clinical clinically clinician
    clinicians color colour come comment comments committee common communicated compared comparison complaining
    complains complaint complete computer conclusion conclusions condition confirmed confirms consensus consented
    consistent consult consultant consulted contact contrast copy correlation criteria ct cxr daily date dated
    daughter day days deceased dedicated default definite demonstrated demonstrates denied denies department dept
    details developed device diabetic diagnosed diagnosis dictated died diffuse direct directly discharged discussed
    discusses disease dob doctor doctors done dr due early ed elderly electronic electronically elevated email
    emergency encounter end endoscopy enlarged er evaluation exam examination examined extensive extubated faculty
    fail failed family father fax features fell fellow felt female fever final finding findings focal follow
    followed following frontal full fundus further gave gender general generalist gentleman geriatrician girl given
    good gp grade gradual great guardian guidance gynecology had hand-held healthy high history hospital hospitalist
    hour hours hpi hrs husband icu id identified image images imaging impression impressions improved improving
    inadequate incidental increased indicates indication indications infant initial inpatient inr intern
    interpretation interpreted interval intubated inverted ip is known lady large last lat late lateral left lesion
    less letter likely limited listed location lower lying made male man manager marked markedly mass maternal
    medical medicine method mid midwife mild mildly minimal minor missing moderate moderately mother moved movement
    mr mri mrn mrs ms much multiple mx name named names needed negative neonate neurology never new next nhs nil nm
    normal note noted notes notified notifies now number nurse nurses nursing obtained obvious old oncology
    ophthalmology opinion optometrist order ordered orders orthopaedics orthopedics outpatient outside pa paramedic
    parent parents partner patient patients pediatrics performed performs persistent pet phone physician physicians
    physio plan planned pm pmh pneumonic poor position positioned positioning positive possible post pre present
    presented presenting presents previous primary prior probable procedure prof progressive proliferative prominent
    prone protocol provided provider proximal pt radiograph radiographer radiographers radiologist radiologists
    radiology rate re read-back recall received recent recently recommendation recommendations recommended
    recommends record reduced refer reference referral referred referring refused regarding registrar related
    relative remains remote repeat report reported reports request requested requests resident residents resolved
    respiratory result results returned review reviewed reviews right rotated rotation routine said saw says scan
    scans score screening seated second secretary section see seen seldinger semi sent sequence sequences service
    severe severely severity sex showed shows sibling signed significant single sister site sitting slight slightly
    smoker soft son sop source specialist speciality spouse ssn stable staff staging standing stated states status
    stenosis student studies study subject subtle such suffered suggested summary supervising supervisor supine
    surgeon surgery suspected symptoms system taken team tech technician technique technologist technologists tel
    telephone test tested tests thank then therapist therapy time today tolerated tomorrow trace trainee transcribed
    transcriptionist transferred treated treating treatment triage twin type uid ultrasound unable unchanged
    undergoing underwent unit unknown unremarkable upper upright urgent urology us using utilizing value verbal
    verbally verified version view viewed views visible visit well went wife withdrew withheld within woman women
    worse worsening xr xxxx year years yesterday young-adult
""")
_FINDINGS = _words("""
    abdomen abdominal abscess adenopathy airspace amoxicillin amputation aneurysm angle angles ankle anomaly
    antibiotics aorta aortic apex apical arteries artery arthritis ascites aspiration aspirin asymmetry atelectases
    atelectasis atherosclerosis atrial atrium atrophy basal base bases basilar bibasilar border borders bowel brain
    bronchi bronchial bronchus bullae calcification calcified cancer carcinoma cardiomediastinal cardiomegaly
    cardiothoracic carina catheter cavitation cavity cephalization cervical chest chf chronic clavicle clip clips
    collapse collection congestion consolidation consolidations contour contours contusion copd costophrenic cough
    cyst cysts deformity degeneration degenerative dehydration density diabetes diaphragm disc dislocation dizziness
    drain drains drusen dyspnea dyspnoea ecchymosis effusion effusions elbow embolism emphysema empyema enlargement
    epigastric erosion ett exacerbation exudate exudates eye eyes failure fatigue fibrillation fibrosis film films
    fissure fistula fluid foreign fracture fractures furosemide gallstones glaucoma granuloma ground-glass headache
    heart hematoma hemidiaphragm hemoptysis hemorrhage hemorrhages heparin hernia hila hilar hilum hip humerus
    hydropneumothorax hyperinflation hypertension hypertensive hypoxia infarct infection infectious infiltrate
    infiltrates inflammation injury insufficiency insulin interstitial intra kerley kidney knee kyphosis laceration
    lacunar lasix lead leads lesions leukocytosis line lines liver lobe lobes lucency lumbar lung lungs lymph
    lymphadenopathy lymphoma macula macular malaise malignancy malignant markings masses mediastinal mediastinum
    melanoma metastases metastasis metastatic metformin microaneurysms mole nausea neoplasm neovascularization nevus
    ngt nodular nodularity nodule nodules npdr obstruction opacification opacities opacity orthopnea osseous
    osteopenia osteophytes overload pacemaker pain palpable palpitations pancreas patellar pathology pdr pelvis
    perforation pericardial perihilar picc pigmented plaque plaques pleura pleural pneumatosis pneumomediastinum
    pneumonia pneumonias pneumoperitoneum pneumothoraces pneumothorax prednisone prosthesis pulmonary rales rash
    retina retinal retinopathy rib ribs rupture sarcoidosis scarring sclerosis scoliosis sepsis septic shape
    shortness shoulder silhouette size skull sob spinal spine spleen stent sternotomy sternum stroke subcutaneous
    swelling syncope tachycardia thickening thoracic thorax thrombus thyroid trachea tracheostomy trauma tube tubes
    tumor tumour ulcer valve valvular vascular vascularity vasculature vein venous ventricle ventricular vertebra
    vertebrae vertebral vessel vessels vomiting warfarin weakness wheeze wheezing wrist zone zones
""")
# English words that are surnames or first names too: a title or a label makes them one.
NAMES_TOO = _words("""
    acre alder amber angle april august autumn back ball banks bark baron barrow bass beard bell bent berry best
    birch bird bishop black bland blood bloom boil bolt bond bone bones booth born bottom bow bowels bowl bowling
    box brain break breeze bright broad brook brown bull burn burns bush butcher cage calm canal cane care case cash
    chance charity chase cheek chill chin church clay cleft clinch close coffin cold colon cook cope counts cox
    cramp cross crouch croup crow cruz cutting daily dale day dean death dell destiny diamond doctor dose drain drew
    drinkwater duke dull earl early east end english faint fair faith fay fellow felt field fine finger fish flood
    flowers foot forest forward fox free freeman french friend gamble gates gay gentle gentry glass gold good grant
    grave graves gray great green grey hall hand hands hard hare hart hawk hay head heal heart heath heron hill hip
    hobby hole holiday honey hook hope house hunt hurt husband jolly joy june keen key kidney king kitchen lamb land
    lane large last law lay leach lead lean leg lever light lilly little live liver lock long lord love low luck
    lucky lung major mark mason mass masters may mead means mellow mercy merry mild miles mill mist mole moles moody
    moon moore mountain much munch nail neck needle nice nightingale noble noon north nurse nutt old olive orange
    outlaw pack page pain paine parish park parker parks parson patience payne peace peacock pepper person pickles
    pickup pigeon pigg pike pill plumb pool poor pope post pouch pound power powers price pride priest prime prior
    profit proper quick quill rabbit rains rash raven ray read reader reason reed rest rice rich rider ring rising
    river rivers roach rock roper rose rude rugg rush sage salt sands savage scar seal self sergeant shade shallow
    sharp sheets shell shields shine shingles shirt shoe shore short silk silver skin skull slaughter sleep sling
    small smart snow son sore south spark sparks sparrow spear speck speed splint spring sprinkle stack stamp
    starling steel steep stern steward stick still stock stocker stocks stone storm stout strain strange straw
    street strong stump style sugar summer summers swallow swan sweet swift tack tart teal temple thorn tidy tiger
    toe tongue town toy trace train travel tree trigger true trump tube tuck vein vest vine virtue vivid wade waist
    wake wall waller wane want ward warden warm washer waters wax way weeks welcome well wells west wheel white wild
    wilder will wing wink winter winters wise wish witty wood word worth wren yard young younger
""")
_MEDICAL = re.compile(
    r"(?:ology|itis|osis|oses|a?emia|pathy|ectomy|otomy|ostomy|plasty|graphy|gram|scopy|surgery|medicine|thorax|edema"
    r"|tension|megaly|cardial|pleural|pulmonary|carcinoma|oma|algia|pnea|uria|ectasis|lysis|plegia|ptysis)s?$"
)
_NOT_MEDICAL = _words("thomas roma noma ramthal oma paloma coma tacoma sonoma")


def is_grammar(word: str) -> bool:
    """Whether a word is one that every sentence may hold.

    Args:
        word: in small letters.

    Returns:
        True for such a word.
    """
    return word in GRAMMAR


def is_prose(word: str) -> bool:
    """Whether a word is one of reports, and no English word that is also a surname.

    Args:
        word: in small letters.

    Returns:
        True for such a word.
    """
    return word in GRAMMAR or (word in _PROSE and word not in NAMES_TOO)


def is_word(word: str) -> bool:
    """Whether a word is English or medical, a surname or not.

    Args:
        word: in small letters.

    Returns:
        True for such a word.
    """
    return word in GRAMMAR or word in _PROSE or word in NAMES_TOO or is_clinical(word)


def is_clinical(word: str) -> bool:
    """Whether a word names a finding or a part of the body and is hardly a surname.

    Args:
        word: in small letters.

    Returns:
        True for such a word.
    """
    if word in _FINDINGS:
        return True
    return _MEDICAL.search(word) is not None and word not in _NOT_MEDICAL
